//go:build !purego

package kernels

import "golang.org/x/sys/windows"

// hasDotProd reports whether there are SDOT and UDOT.
func hasDotProd() bool {
	return windows.IsProcessorFeaturePresent(windows.PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE)
}

// hasI8MM reports whether there are SMMLA and its like. Windows says so since Windows 11 24H2; before, it says no.
func hasI8MM() bool {
	return windows.IsProcessorFeaturePresent(windows.PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE)
}
