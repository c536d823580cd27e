// Package atomicfile writes a file so that it appears whole or not at all: the bytes go to a temporary file in the
// same folder, which takes the file's name only once everything is on the disk.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// ErrDone is returned by a File that has been committed or aborted.
var ErrDone = errors.New("atomicfile: the file was already committed or aborted")

// File is a file that is being written. It is not safe for use by several goroutines.
//
// The usual shape is
//
//	f, err := atomicfile.Create(path)
//	if err != nil { … }
//	defer f.Abort() // does nothing after Commit
//	… f.Write(…) …
//	return f.Commit()
type File struct {
	tmp  *os.File
	path string
	done bool
}

// Create begins to write path. An existing regular file keeps its content, and lends its permissions, until Commit
// replaces it; a symbolic link is followed. Anything else of that name (a folder, a device) is an error.
func Create(path string) (*File, error) {
	target, mode, err := resolve(path)
	if err != nil {
		return nil, err
	}
	tmp, err := createTemp(target)
	if err != nil {
		return nil, err
	}
	if mode != 0 {
		if err := tmp.Chmod(mode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			tmp.Close()
			os.Remove(tmp.Name())
			return nil, err
		}
	}
	return &File{tmp: tmp, path: target}, nil
}

// resolve follows symbolic links to the file that is to be replaced, and returns its permissions, 0 where there is no
// such file yet.
func resolve(path string) (string, fs.FileMode, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, &fs.PathError{Op: "create", Path: path, Err: errors.New("exists and is not a regular file")}
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", 0, err
	}
	return target, info.Mode().Perm(), nil
}

// attempts bounds the search for a free temporary name; each has 64 random bits, so that the second is rarely needed.
const attempts = 100

// createTemp differs from os.CreateTemp in the permissions: those of an ordinary new file, as the umask says.
func createTemp(target string) (*os.File, error) {
	dir, base := filepath.Split(target)
	for range attempts {
		name := filepath.Join(dir, "."+base+".tmp-"+strconv.FormatUint(rand.Uint64(), 36))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return f, err
	}
	return nil, fmt.Errorf("atomicfile: no free temporary name beside %s", target)
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	if f.done {
		return 0, ErrDone
	}
	return f.tmp.Write(p)
}

// Commit puts the content on the disk and gives the file its name. If that fails, nothing of the new file is left.
func (f *File) Commit() error {
	if f.done {
		return ErrDone
	}
	f.done = true
	err := f.tmp.Sync()
	if closeErr := f.tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.tmp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(f.tmp.Name())))
	}
	return syncDir(filepath.Dir(f.path))
}

// Abort discards what was written. After Commit or Abort it does nothing.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	err := f.tmp.Close()
	return errors.Join(err, ignoreMissing(os.Remove(f.tmp.Name())))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
