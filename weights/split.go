package weights

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// splitName is how the parts of a split model are named: NAME-00001-of-00003.gguf is the first of three.
var splitName = regexp.MustCompile(`^(.*)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// partPath returns the path of the part with the given index, counted from 0.
func partPath(dir, name string, index, count int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%05d-of-%05d.gguf", name, index+1, count))
}

// openSplit returns all parts of the model that opened is one of, in order: opened alone if it is not split. With an
// error it returns those that are open.
func openSplit(opened *part) ([]*part, error) {
	index, count, err := splitOf(opened.md)
	if err != nil || count <= 1 {
		return []*part{opened}, err
	}
	dir, base := filepath.Split(opened.path)
	match := splitName.FindStringSubmatch(base)
	if match == nil || base != filepath.Base(partPath("", match[1], index, count)) {
		return []*part{opened}, fmt.Errorf("part %d of %d of a split model must have a name that ends in -%05d-of-%05d.gguf",
			index+1, count, index+1, count)
	}
	var parts []*part
	for i := range count {
		p := opened
		if i != index {
			if p, err = openOther(partPath(dir, match[1], i, count), i, count); err != nil {
				return append(parts, opened), err // opened may be among parts: releasing it twice is harmless
			}
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// openOther opens another part of a split model and checks that it is the one that its name says.
func openOther(path string, index, count int) (*part, error) {
	p, err := openPart(path)
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("part %d of %d is missing: %w", index+1, count, err)
	}
	if err != nil {
		return nil, fmt.Errorf("part %d of %d: %w", index+1, count, err)
	}
	i, n, err := splitOf(p.md)
	if err == nil && (i != index || n != count) {
		err = fmt.Errorf("its metadata say that it is part %d of %d", i+1, n)
	}
	if err != nil {
		releaseAll([]*part{p})
		return nil, fmt.Errorf("part %d of %d: %s: %w", index+1, count, path, err)
	}
	return p, nil
}

// splitOf returns the index of a part, from 0, and the number of parts; 0 and 1 for a model that is not split.
func splitOf(md *Metadata) (index, count int, err error) {
	const maxParts = 99999 // five digits
	if _, ok := md.Get(keySplitCount); !ok {
		return 0, 1, nil
	}
	n, err := wantUint(md, keySplitCount)
	if err != nil || n <= 1 {
		return 0, 1, err
	}
	if n > maxParts {
		return 0, 1, fmt.Errorf("metadata key %q: %d parts, there can be %d", keySplitCount, n, maxParts)
	}
	i, err := wantUint(md, keySplitNo)
	if err == nil && i >= n {
		err = fmt.Errorf("metadata key %q: %d is not below the number of parts %d", keySplitNo, i, n)
	}
	return int(i), int(n), err
}

// wantUint returns a key's value, which must be there and a non-negative integer.
func wantUint(md *Metadata, key string) (uint64, error) {
	n, ok := md.Uint(key)
	if ok {
		return n, nil
	}
	v, ok := md.Get(key)
	if !ok {
		return 0, fmt.Errorf("metadata key %q is missing", key)
	}
	return 0, fmt.Errorf("metadata key %q: want a non-negative integer, not a value of type %s", key, v.typ)
}

// merge joins the parts' tensors.
func (f *File) merge() error {
	f.tensors, f.byName = nil, map[string]*Tensor{}
	for _, p := range f.parts {
		for _, t := range p.tensors {
			if _, ok := f.byName[t.Name]; ok {
				return fmt.Errorf("tensor %s of %s is in an earlier part too", quote(t.Name), filepath.Base(p.path))
			}
			f.byName[t.Name] = t
			f.tensors = append(f.tensors, t)
		}
	}
	if _, ok := f.md.Get(keySplitTensors); !ok {
		return nil
	}
	want, err := wantUint(f.md, keySplitTensors)
	if err == nil && want != uint64(len(f.tensors)) {
		err = fmt.Errorf("metadata key %q: %d tensors, the parts have %d", keySplitTensors, want, len(f.tensors))
	}
	return err
}
