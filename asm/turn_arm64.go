//go:build !purego

package asm

// TurnF32NEON rotates float32 keys.
//
//go:noescape
func TurnF32NEON(t *Turn)

// TurnF16NEON rotates binary16 keys.
//
//go:noescape
func TurnF16NEON(t *Turn)
