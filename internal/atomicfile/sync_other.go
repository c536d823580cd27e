//go:build !unix

package atomicfile

// syncDir does nothing: there is no way to sync a folder.
func syncDir(string) error { return nil }
