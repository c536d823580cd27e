//go:build !purego && (amd64 || arm64)

package asm

// Fetch asks for n cache lines of 64 bytes, at least 1, to be brought into the second-level cache.
//
//go:noescape
func Fetch(p *byte, n int)
