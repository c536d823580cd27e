package statefile

import (
	"errors"
	"fmt"

	"github.com/mneme-lm/mneme/internal/mapped"
)

// File is an open state file. It is safe for use by many goroutines at once, Close apart.
type File struct {
	file    *mapped.File
	data    []byte // nil after Close
	entries []entry
	byName  map[string]int
}

// Open maps the file at path, or reads it where that cannot be done, and checks every byte of it. An error wraps
// ErrFormat if this is no state file, or a part of one; ErrVersion if it is of another version; ErrChecksum if it was
// changed.
//
// While the file is open it must not be changed or truncated; replacing it by another of the same name, as a Writer does,
// is harmless.
func Open(path string) (*File, error) {
	m, err := mapped.OpenReplaceable(path)
	if err != nil {
		return nil, fmt.Errorf("statefile: %w", err)
	}
	f, err := parse(m.Data())
	if err != nil {
		return nil, fmt.Errorf("statefile: %s: %w", path, errors.Join(err, m.Close()))
	}
	f.file = m
	return f, nil
}

// Sections lists the sections in the order of the file.
func (f *File) Sections() []Section {
	list := make([]Section, len(f.entries))
	for i := range f.entries {
		list[i] = f.entries[i].Section
	}
	return list
}

// Section returns the data of the section of that name. They are the file's bytes where they are mapped, so that nothing
// is copied, aligned as the section is. They must not be written to: that ends the program with a fault. Nor may they be
// used after Close.
func (f *File) Section(name string) (data []byte, ok bool) {
	i, ok := f.byName[name]
	if !ok || f.data == nil {
		return nil, false
	}
	return f.entries[i].of(f.data), true
}

// of returns the section's part of a file.
func (e *entry) of(file []byte) []byte {
	end := e.Offset + e.Length
	return file[e.Offset:end:end]
}

// Close releases the memory that holds the file. After it there are no sections' data any more, and those that Section
// returned must not be used. A second Close does nothing.
func (f *File) Close() error {
	f.data = nil
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("statefile: %w", err)
	}
	return nil
}
