package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/internal/mapped"
)

// File is an open file, or several that an index makes one of. It does not change, and is safe for use by many goroutines
// at once, Close apart.
type File struct {
	tensors  []*Tensor
	byName   map[string]*Tensor
	metadata map[string]string
	parts    []part
}

// part is one file on the disk.
type part struct {
	path string
	file *mapped.File
}

// Open opens a file. It maps it into memory, or reads it where that cannot be done. While the file is open it must not be
// changed or truncated.
func Open(path string) (*File, error) {
	f, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

func open(path string) (*File, error) {
	m, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := parse(m.Data())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, m.Close()))
	}
	f.parts = []part{{path, m}}
	return f, nil
}

// Parse opens a file that lies in memory. The tensors' data are slices of data.
func Parse(data []byte) (*File, error) {
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

func parse(data []byte) (*File, error) {
	if len(data) < lengthBytes {
		return nil, fmt.Errorf("truncated: %d bytes, the length of the header alone has %d", len(data), lengthBytes)
	}
	n, rest := binary.LittleEndian.Uint64(data), data[lengthBytes:]
	switch {
	case n > maxHeader:
		return nil, fmt.Errorf("a header of %d bytes, more than the %d that the format allows: is this safetensors?", n, maxHeader)
	case n > uint64(len(rest)):
		return nil, fmt.Errorf("truncated: a header of %d bytes in a file of %d", n, len(data))
	}
	h, err := parseHeader(rest[:n])
	if err != nil {
		return nil, err
	}
	f := &File{metadata: h.metadata, byName: make(map[string]*Tensor, len(h.entries))}
	for _, e := range h.entries {
		f.add(e.tensor)
	}
	return f, assign(h.entries, rest[n:])
}

func (f *File) add(t *Tensor) {
	f.tensors = append(f.tensors, t)
	f.byName[t.Name] = t
}

// assign gives each tensor its data, and finds tensors that do not fit theirs, and bytes that belong to two or none.
func assign(entries []entry, section []byte) error {
	for _, e := range entries {
		size, err := dataBytes(e.tensor.DType, e.tensor.Shape)
		switch {
		case err != nil:
		case e.begin > e.end || e.end > uint64(len(section)):
			err = fmt.Errorf("offsets %d to %d in %d bytes of data", e.begin, e.end, len(section))
		case size != e.end-e.begin:
			err = fmt.Errorf("%d bytes of data where shape %v of type %s takes %d", e.end-e.begin, brief(e.tensor.Shape), e.tensor.DType, size)
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(e.tensor.Name), err)
		}
		e.tensor.Data = section[e.begin:e.end:e.end]
	}
	return checkCover(entries, uint64(len(section)))
}

// checkCover holds that the tensors lie side by side from the first byte to the last.
func checkCover(entries []entry, size uint64) error {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := uint64(0)
	for i, e := range sorted {
		switch {
		case e.begin < at:
			return fmt.Errorf("tensor %s overlaps tensor %s: it begins at offset %d, before offset %d",
				quote(e.tensor.Name), quote(sorted[i-1].tensor.Name), e.begin, at)
		case e.begin > at:
			return fmt.Errorf("the bytes at offsets %d to %d, before tensor %s, belong to no tensor", at, e.begin, quote(e.tensor.Name))
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("the last %d bytes belong to no tensor", size-at)
	}
	return nil
}

// Close releases the memory that holds the file. No tensor's data, nor any slice of it, may be used after Close or while
// it runs. A second Close does nothing.
func (f *File) Close() error {
	for _, t := range f.tensors {
		t.Data = nil
	}
	var errs []error
	for _, p := range f.parts {
		errs = append(errs, p.file.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// Tensors returns the tensors in the order of the file, or of the files. The slice must not be changed.
func (f *File) Tensors() []*Tensor { return f.tensors }

// Tensor returns the tensor of the given name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// Metadata returns a string of the member __metadata__. An index has none.
func (f *File) Metadata(key string) (string, bool) {
	s, ok := f.metadata[key]
	return s, ok
}

// Paths returns the paths of the files with tensors, none for one that Parse made.
func (f *File) Paths() []string {
	var paths []string
	for _, p := range f.parts {
		paths = append(paths, p.path)
	}
	return paths
}
