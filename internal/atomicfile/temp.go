package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// attempts bounds the search for a free temporary name; each has 64 random bits, so that the second is rarely needed.
const attempts = 100

// createTemp differs from os.CreateTemp in the permissions, those of an ordinary new file, as the umask says, and in
// that others can tell whether the file is still being written.
func createTemp(target string) (*os.File, error) {
	dir, base := filepath.Split(target)
	for range attempts {
		name := filepath.Join(dir, tempName(base, os.Getpid(), rand.Uint64()))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if hold(f) {
			return f, nil
		}
		f.Close()
		os.Remove(name)
	}
	return nil, fmt.Errorf("atomicfile: no free temporary name beside %s", target)
}

// randomDigits is the length of 64 bits in base 16.
const randomDigits = 16

// tempName is the name of a temporary file for the file named base: .base.tmp-PID-RANDOM.
func tempName(base string, pid int, random uint64) string {
	return fmt.Sprintf("%s%d-%0*x", tempPrefix(base), pid, randomDigits, random)
}

func tempPrefix(base string) string { return "." + base + ".tmp-" }

// writerOf returns the process that created the temporary file of that name; ok is false if it is no name that
// tempName gives for base.
func writerOf(name, base string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, tempPrefix(base))
	if !ok {
		return 0, false
	}
	number, random, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	if err != nil || len(random) != randomDigits {
		return 0, false
	}
	bits, err := strconv.ParseUint(random, 16, 64)
	return pid, err == nil && name == tempName(base, pid, bits)
}

// removeAbandoned removes the temporary files for target that nobody writes any more. If that fails there is more left
// on the disk than need be, and nothing worse.
func removeAbandoned(target string) {
	dir, base := filepath.Split(target)
	if dir == "" {
		dir = "."
	}
	for name, pid := range temporaries(dir, base) {
		path := filepath.Join(dir, name)
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			removeIfAbandoned(path, pid)
		}
	}
}

// temporaries lists the temporary files for base in dir, with the processes that created them.
func temporaries(dir, base string) map[string]int {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	found := map[string]int{}
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			if pid, ok := writerOf(name, base); ok {
				found[name] = pid
			}
		}
		if err != nil || len(names) == 0 { // the end, or as far as the folder can be read
			return found
		}
	}
}
