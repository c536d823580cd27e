//go:build !purego

package kernels

import "github.com/mneme-lm/mneme/asm"

var limitsAVX512 = Limits{Read: readAVX512, MulAdd: mulAddAVX512, Dot8: dot8AVX512}

func readAVX512(p []byte) uint64 {
	whole := len(p) &^ 511
	if whole == 0 {
		return readGeneric(p)
	}
	var lanes [8]uint64
	asm.XorAVX512(&lanes, &p[0], whole)
	return readGeneric(p[whole:]) ^ xor(lanes[:])
}

func mulAddAVX512(rounds int) (ops int, sum float32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [16]float32
	asm.MulAddAVX512(&lanes, rounds)
	return 2 * asm.MulAddsAVX512 * rounds, total(lanes[:])
}

func dot8AVX512(rounds int) (ops int, sum int32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [16]int32
	asm.Dot8AVX512(&lanes, rounds)
	return 2 * asm.Dot8sAVX512 * rounds, total(lanes[:])
}

var limitsAVX2 = Limits{Read: readAVX2, MulAdd: mulAddAVX2, Dot8: dot8AVX2}

func readAVX2(p []byte) uint64 {
	whole := len(p) &^ 255
	if whole == 0 {
		return readGeneric(p)
	}
	var lanes [4]uint64
	asm.XorAVX2(&lanes, &p[0], whole)
	return readGeneric(p[whole:]) ^ xor(lanes[:])
}

func mulAddAVX2(rounds int) (ops int, sum float32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [8]float32
	asm.MulAddAVX2(&lanes, rounds)
	return 2 * asm.MulAddsAVX2 * rounds, total(lanes[:])
}

func dot8AVX2(rounds int) (ops int, sum int32) {
	if rounds < 1 {
		return 0, 0
	}
	var lanes [8]int32
	asm.Dot8AVX2(&lanes, rounds)
	return 2 * asm.Dot8sAVX2 * rounds, total(lanes[:])
}
