package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/weights/quant"
)

// parsed is what one file says. The tensors' data are slices of the file.
type parsed struct {
	version uint32
	md      *Metadata
	tensors []*Tensor
	byName  map[string]*Tensor
}

// The least that an entry takes: a key of one byte with a value of one, a tensor with a name of one byte and no
// dimensions.
const (
	minKeyBytes    = 8 + 1 + 4 + 1
	minTensorBytes = 8 + 1 + 4 + 4 + 8
)

// parse reads a whole file.
func parse(data []byte) (*parsed, error) {
	version, err := parseVersion(data)
	if err != nil {
		return nil, err
	}
	r := &reader{data: data, pos: len(magic) + 4}
	tensorCount, err := r.uint64()
	if err != nil {
		return nil, err
	}
	keyCount, err := r.uint64()
	if err != nil {
		return nil, err
	}
	if keyCount > uint64(r.left()/minKeyBytes) {
		return nil, fmt.Errorf("header counts %d metadata keys, too many for a file of %d bytes", keyCount, len(data))
	}
	if tensorCount > uint64(r.left()/minTensorBytes) {
		return nil, fmt.Errorf("header counts %d tensors, too many for a file of %d bytes", tensorCount, len(data))
	}
	p := &parsed{version: version}
	if p.md, err = parseMetadata(r, int(keyCount)); err != nil {
		return nil, err
	}
	alignment, err := alignmentOf(p.md)
	if err != nil {
		return nil, err
	}
	if err := p.parseTensors(r, int(tensorCount), alignment); err != nil {
		return nil, err
	}
	return p, nil
}

// parseVersion checks the first bytes.
func parseVersion(data []byte) (uint32, error) {
	if len(data) == 0 {
		return 0, fmt.Errorf("%w: empty", ErrNotGGUF)
	}
	if !bytes.HasPrefix(data, []byte(magic)) {
		if bytes.HasPrefix(data, []byte("version https://git-lfs")) {
			return 0, fmt.Errorf("%w but a Git LFS pointer: fetch the file itself with git lfs pull", ErrNotGGUF)
		}
		return 0, fmt.Errorf("%w: it begins with %q", ErrNotGGUF, data[:min(4, len(data))])
	}
	if len(data) < headerBytes {
		return 0, fmt.Errorf("truncated: %d bytes, the header alone has %d", len(data), headerBytes)
	}
	version := binary.LittleEndian.Uint32(data[len(magic):])
	switch {
	case version == 2 || version == 3:
		return version, nil
	case version == 1:
		return 0, fmt.Errorf("GGUF version 1 is not supported: convert the model anew")
	case version&0xffff == 0 && version != 0:
		return 0, fmt.Errorf("big-endian GGUF is not supported: convert the model to little-endian")
	}
	return 0, fmt.Errorf("unknown GGUF version %d; 2 and 3 are supported", version)
}

func parseMetadata(r *reader, count int) (*Metadata, error) {
	md := &Metadata{}
	for i := range count {
		key, value, err := parseKey(r)
		switch {
		case err != nil && key == "":
			return nil, fmt.Errorf("metadata key %d of %d: %w", i+1, count, err)
		case err != nil:
			return nil, fmt.Errorf("metadata key %s: %w", quote(key), err)
		}
		if _, ok := md.values[key]; ok {
			return nil, fmt.Errorf("metadata key %s is there twice", quote(key))
		}
		md.put(key, value)
	}
	return md, nil
}

// parseKey returns the key also with an error in what follows it.
func parseKey(r *reader) (string, Value, error) {
	b, err := r.stringBytes()
	if err != nil {
		return "", Value{}, err
	}
	if len(b) == 0 || len(b) > maxKeyBytes {
		return "", Value{}, fmt.Errorf("the key has %d bytes, keys have 1 to %d", len(b), maxKeyBytes)
	}
	key := string(b)
	t, err := r.uint32()
	if err != nil {
		return key, Value{}, err
	}
	value, err := r.value(ValueType(t), 0)
	return key, value, err
}

// alignmentOf returns the multiple at which tensors begin, as the metadata say or the default.
func alignmentOf(md *Metadata) (int, error) {
	v, ok := md.Get(keyAlignment)
	if !ok {
		return defaultAlignment, nil
	}
	a, ok := v.any.(uint32)
	if !ok {
		return 0, fmt.Errorf("metadata key %q: type %s, want uint32", keyAlignment, v.typ)
	}
	if a < 8 || a&(a-1) != 0 {
		return 0, fmt.Errorf("metadata key %q: %d is not a power of two of at least 8", keyAlignment, a)
	}
	if uint64(a) > math.MaxInt {
		return 0, fmt.Errorf("metadata key %q: %d is more than can be addressed", keyAlignment, a)
	}
	return int(a), nil
}

// placed is a tensor with its place in the section of data.
type placed struct {
	tensor *Tensor
	offset uint64
	size   int
}

func (p *parsed) parseTensors(r *reader, count, alignment int) error {
	p.byName = map[string]*Tensor{}
	var places []placed
	for i := range count {
		place, err := parseTensor(r)
		switch {
		case err != nil && place.tensor == nil:
			return fmt.Errorf("tensor %d of %d: %w", i+1, count, err)
		case err != nil:
			return fmt.Errorf("tensor %s: %w", quote(place.tensor.Name), err)
		}
		name := place.tensor.Name
		if _, ok := p.byName[name]; ok {
			return fmt.Errorf("tensor %s is there twice", quote(name))
		}
		p.byName[name] = place.tensor
		p.tensors = append(p.tensors, place.tensor)
		places = append(places, place)
	}
	if count == 0 {
		return nil
	}
	return assign(r.data, r.pos, alignment, places)
}

// parseTensor reads the description of a tensor and returns what it has of it also with an error.
func parseTensor(r *reader) (placed, error) {
	b, err := r.stringBytes()
	if err != nil {
		return placed{}, err
	}
	if len(b) == 0 {
		return placed{}, fmt.Errorf("empty name")
	}
	place := placed{tensor: &Tensor{Name: string(b)}}
	if place.tensor.Shape, err = parseShape(r); err != nil {
		return place, err
	}
	t, err := r.uint32()
	if err != nil {
		return place, err
	}
	place.tensor.Type = quant.Type(t)
	if place.offset, err = r.uint64(); err != nil {
		return place, err
	}
	place.size, err = dataBytes(place.tensor.Type, place.tensor.Shape)
	return place, err
}

func parseShape(r *reader) ([]int, error) {
	n, err := r.uint32()
	if err != nil {
		return nil, err
	}
	if n > maxDims {
		return nil, fmt.Errorf("%d dimensions, GGUF has at most %d", n, maxDims)
	}
	shape := make([]int, n)
	for i := range shape {
		d, err := r.uint64()
		if err != nil {
			return nil, err
		}
		if d > math.MaxInt {
			return nil, fmt.Errorf("dimension %d of %d values is more than can be counted", i, d)
		}
		shape[i] = int(d)
	}
	return shape, nil
}

// assign gives each tensor its data: the section of data begins at the first multiple of the alignment from pos on.
func assign(data []byte, pos, alignment int, places []placed) error {
	var section []byte
	if start := alignUp(pos, alignment); start >= pos && start <= len(data) {
		section = data[start:]
	}
	for _, place := range places {
		if place.offset%uint64(alignment) != 0 {
			return fmt.Errorf("tensor %s: offset %d is not a multiple of the alignment %d",
				quote(place.tensor.Name), place.offset, alignment)
		}
		n := uint64(len(section))
		if place.offset > n || uint64(place.size) > n-place.offset {
			return fmt.Errorf("tensor %s: truncated: %d bytes of data at offset %d, the file has %d bytes of data",
				quote(place.tensor.Name), place.size, place.offset, n)
		}
		end := int(place.offset) + place.size
		place.tensor.Data = section[place.offset:end:end]
	}
	return checkOverlap(places)
}

// alignUp returns the first multiple of alignment that is not below n; negative if there is no such int.
func alignUp(n, alignment int) int { return (n + alignment - 1) &^ (alignment - 1) }

// checkOverlap finds tensors that share bytes.
func checkOverlap(places []placed) error {
	sorted := slices.DeleteFunc(slices.Clone(places), func(p placed) bool { return p.size == 0 })
	slices.SortStableFunc(sorted, func(a, b placed) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		if b.offset-a.offset < uint64(a.size) {
			return fmt.Errorf("tensor %s overlaps tensor %s: it begins at offset %d, within the %d bytes at offset %d",
				quote(b.tensor.Name), quote(a.tensor.Name), b.offset, a.size, a.offset)
		}
	}
	return nil
}
