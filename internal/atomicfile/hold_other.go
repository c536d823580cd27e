//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package atomicfile

import "os"

// hold has nothing to do: nobody removes temporary files of others.
func hold(*os.File) bool { return true }

// removeIfAbandoned does nothing: there is no way to tell.
func removeIfAbandoned(string, int) {}

// place closes the file before it gives it its name.
func place(tmp *os.File, target string) error {
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), target)
}
