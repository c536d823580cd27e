package atomicfile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// hold has nothing to do: a file that is open cannot be removed.
func hold(*os.File) bool { return true }

// removeIfAbandoned removes the temporary file at path if it is not open and the process that created it has ended: a
// living one may be between closing the file and giving it its name.
func removeIfAbandoned(path string, pid int) {
	if ended(pid) {
		os.Remove(path)
	}
}

// ended reports whether it is certain that there is no process of that number.
func ended(pid int) bool {
	process, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return errors.Is(err, windows.ERROR_INVALID_PARAMETER)
	}
	defer windows.CloseHandle(process)
	event, err := windows.WaitForSingleObject(process, 0)
	return err == nil && event == windows.WAIT_OBJECT_0
}

// place closes the file first: one that is open cannot be renamed.
func place(tmp *os.File, target string) error {
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), target)
}
