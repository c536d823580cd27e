//go:build !purego

package kernels

// detect returns the implementations beyond the reference that this machine can run, slowest first.
func detect() []*Implementation {
	found := []*Implementation{newNEON()}
	if hasDotProd() {
		found = append(found, newDotProd())
		if hasI8MM() {
			found = append(found, newI8MM())
		}
	}
	return found
}
