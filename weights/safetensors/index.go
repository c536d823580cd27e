package safetensors

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxIndex bounds the size of an index: those of the largest models have some megabytes.
const maxIndex = 64 << 20

// OpenIndex opens a model whose tensors are shared out over several files, from the index that says which tensor is in
// which: a JSON object whose member weight_map maps names of tensors to names of files in the same folder. Tensors that
// the index does not name, and names that its file does not have, are errors.
func OpenIndex(path string) (*File, error) {
	f, err := openIndex(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	return f, nil
}

func openIndex(path string) (*File, error) {
	text, err := readBounded(path, maxIndex)
	if err != nil {
		return nil, err
	}
	files, err := parseIndex(text)
	if err != nil {
		return nil, err
	}
	f := &File{byName: make(map[string]*Tensor, len(files))}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(files))) {
		shard, err := open(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.parts = append(f.parts, shard.parts...)
		for _, t := range shard.tensors {
			if files[t.Name] != name {
				return nil, errors.Join(fmt.Errorf("tensor %s is in %s, where the index does not have it", quote(t.Name), quote(name)), f.Close())
			}
			f.add(t)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, ok := f.byName[name]; !ok {
			return nil, errors.Join(fmt.Errorf("tensor %s is not in %s, where the index has it", quote(name), quote(files[name])), f.Close())
		}
	}
	return f, nil
}

// parseIndex returns the file of each tensor.
func parseIndex(text []byte) (map[string]string, error) {
	r := newReader(text)
	var files map[string]string
	err := r.object(func(member string) (err error) {
		if member != "weight_map" {
			return r.skip()
		}
		if files != nil {
			return errors.New("there twice")
		}
		files, err = r.strings()
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("no weight_map, or an empty one")
	}
	for tensor, name := range files {
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
			return nil, fmt.Errorf("tensor %s is in %s, which is no file of the same folder", quote(tensor), quote(name))
		}
	}
	return files, nil
}

// readBounded reads a file of up to most bytes.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return text, err
}
