// Package atomicfile writes a file so that it appears whole or not at all: the bytes go to a temporary file in the
// same folder, which takes the file's name only once everything is on the disk. What a process that was killed leaves
// behind is removed when the same file is written again.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
//
// Several may write the same path at once: each has a temporary file of its own, and the last to commit prevails.
// Temporary files for path whose writers are no more are removed; those that are being written to are not.
func Create(path string) (*File, error) {
	target, mode, err := resolve(path)
	if err != nil {
		return nil, err
	}
	removeAbandoned(target)
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

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	if f.done {
		return 0, ErrDone
	}
	return f.tmp.Write(p)
}

// WriteAt writes over bytes that Write has written: a header, for example, that says where things came to lie.
func (f *File) WriteAt(p []byte, offset int64) (int, error) {
	if f.done {
		return 0, ErrDone
	}
	return f.tmp.WriteAt(p, offset)
}

// Commit puts the content on the disk and gives the file its name. If that fails, nothing of the new file is left.
func (f *File) Commit() error {
	if f.done {
		return ErrDone
	}
	f.done = true
	err := f.tmp.Sync()
	if err == nil {
		err = place(f.tmp, f.path)
	} else {
		f.tmp.Close()
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
