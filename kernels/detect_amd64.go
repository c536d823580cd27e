//go:build !purego

package kernels

import "github.com/klauspost/cpuid/v2"

// detect returns the implementations beyond the reference that this machine can run, slowest first.
func detect() []*Implementation {
	var found []*Implementation
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) {
		return found
	}
	found = append(found, newAVX2())
	if cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI, cpuid.AVX512VBMI) {
		found = append(found, newAVX512())
	}
	return found
}
