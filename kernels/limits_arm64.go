//go:build !purego

package kernels

import "github.com/mneme-lm/mneme/asm"

var (
	limitsNEON    = Limits{Read: readNEON, MulAdd: mulAddNEON, Dot8: dot8NEON}
	limitsDotProd = Limits{Read: readNEON, MulAdd: mulAddNEON, Dot8: dot8DotProd}
	limitsI8MM    = Limits{Read: readNEON, MulAdd: mulAddNEON, Dot8: dot8I8MM}
)

func readNEON(p []byte) uint64 {
	whole := len(p) &^ 127
	if whole == 0 {
		return readGeneric(p)
	}
	var lanes [2]uint64
	asm.XorNEON(&lanes, &p[0], whole)
	return readGeneric(p[whole:]) ^ xor(lanes[:])
}

func mulAddNEON(rounds int) (ops int, sum float32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [4]float32
	asm.MulAddNEON(&lanes, rounds)
	return 2 * asm.MulAddsNEON * rounds, total(lanes[:])
}

func dot8NEON(rounds int) (ops int, sum int32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [4]int32
	asm.Dot8NEON(&lanes, rounds)
	return 2 * asm.Dot8sNEON * rounds, total(lanes[:])
}

func dot8DotProd(rounds int) (ops int, sum int32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [4]int32
	asm.Dot8DotProd(&lanes, rounds)
	return 2 * asm.Dot8sDotProd * rounds, total(lanes[:])
}

func dot8I8MM(rounds int) (ops int, sum int32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [4]int32
	asm.Dot8I8MM(&lanes, rounds)
	return 2 * asm.Dot8sI8MM * rounds, total(lanes[:])
}
