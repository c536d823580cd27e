package weights

import (
	"errors"
	"fmt"

	"github.com/mneme-lm/mneme/internal/mapped"
)

// File is an open model. It does not change, and is safe for use by many goroutines at once, Close apart.
type File struct {
	parsed
	parts []*part
}

// part is one file on the disk, or, without a path, bytes that the caller gave.
type part struct {
	parsed
	path string
	data []byte
	file *mapped.File // nil if there is nothing to release
}

// Open opens a GGUF file. It maps the file into memory, or reads it where that cannot be done. Of a model that is split
// over files named NAME-00001-of-0000N.gguf and so on it opens all, whichever of them is named.
//
// While the file is open it must not be changed or truncated: tensors are read from it when they are used. Replacing it
// by another of the same name, as Create does, is harmless.
func Open(path string) (*File, error) {
	first, err := openPart(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	parts, err := openSplit(first)
	if err != nil {
		return nil, fmt.Errorf("weights: %s: %w", path, errors.Join(err, releaseAll(parts)))
	}
	f := &File{parsed: parts[0].parsed, parts: parts}
	if len(parts) > 1 {
		if err := f.merge(); err != nil {
			return nil, fmt.Errorf("weights: %s: %w", path, errors.Join(err, f.Close()))
		}
	}
	return f, nil
}

// Parse opens a model that lies in memory, one that was built into a program for example. The tensors' data are slices
// of data. A part of a split model is an error.
func Parse(data []byte) (*File, error) {
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if n, _ := p.md.Uint(keySplitCount); n > 1 {
		return nil, fmt.Errorf("weights: one of the %d parts of a split model: open the files instead", n)
	}
	return &File{parsed: *p, parts: []*part{{parsed: *p, data: data}}}, nil
}

// openPart opens one file.
func openPart(path string) (*part, error) {
	f, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := parse(f.Data())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.Close()))
	}
	return &part{parsed: *content, path: path, data: f.Data(), file: f}, nil
}

// Close releases the memory that holds the file. No tensor's data, nor any slice of it, may be used after Close or
// while it runs: with a mapped file that ends the program with a fault. So that most such mistakes become an ordinary
// index panic instead, Close empties the Data of every tensor. Metadata stay valid. A second Close does nothing.
func (f *File) Close() error {
	for _, t := range f.tensors {
		t.Data = nil
	}
	err := releaseAll(f.parts)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	return nil
}

func releaseAll(parts []*part) error {
	var errs []error
	for _, p := range parts {
		if p.file != nil {
			errs = append(errs, p.file.Close())
		}
		p.file, p.data = nil, nil
	}
	return errors.Join(errs...)
}

// Metadata returns the model's metadata, of a split model those of the first part. They must not be changed; Clone
// them for that.
func (f *File) Metadata() *Metadata { return f.md }

// Tensors returns the tensors in the order of the file. The slice must not be changed.
func (f *File) Tensors() []*Tensor { return f.tensors }

// Tensor returns the tensor of the given name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// Version returns the version of the format, 2 or 3.
func (f *File) Version() int { return int(f.version) }

// Paths returns the paths of the files that make up the model: one, or the parts of a split model in order; none for a
// model that Parse made.
func (f *File) Paths() []string {
	var paths []string
	for _, p := range f.parts {
		if p.path != "" {
			paths = append(paths, p.path)
		}
	}
	return paths
}

// Size returns the size of the files in bytes; 0 after Close.
func (f *File) Size() int64 {
	var n int64
	for _, p := range f.parts {
		n += int64(len(p.data))
	}
	return n
}

// Mapped reports whether the model is mapped into memory, so that the system loads it on use and can drop it again.
func (f *File) Mapped() bool { return f.parts[0].file != nil && f.parts[0].file.Mapped() }
