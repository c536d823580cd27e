//go:build purego || !(amd64 || arm64)

package kernels

type nativeScratch struct{}
