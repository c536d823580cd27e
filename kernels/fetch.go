//go:build !purego && (amd64 || arm64)

package kernels

import "github.com/mneme-lm/mneme/asm"

func fetch(data []byte) {
	if n := len(data) / 64; n > 0 {
		asm.Fetch(&data[0], n)
	}
}
