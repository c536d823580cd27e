// Package testdata finds the files that tests compare with. They live beside the repository, in ../shared, and are
// optional: a test that needs one is skipped with a message where it is absent.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Shared returns the path of a file or folder below ../shared, seen from the module's root, and skips the test if
// there is none.
func Shared(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(Root(tb), "..", "shared", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("needs ../shared/%s beside the repository: %v", name, err)
	}
	return path
}

// Root returns the folder that holds go.mod.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}
