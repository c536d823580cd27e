//go:build !purego && !windows

package kernels

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// hasDotProd reports whether there are SDOT and UDOT. Every processor that runs macOS has them, but macOS 11 does not
// say so.
func hasDotProd() bool { return cpu.ARM64.HasASIMDDP || runtime.GOOS == "darwin" }

// hasI8MM reports whether there are SMMLA and its like.
func hasI8MM() bool { return cpu.ARM64.HasI8MM }
