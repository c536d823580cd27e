package convert

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/safetensors"
)

// input is a model that some program wrote, in GGUF's terms.
type input struct {
	md      weights.Metadata
	tensors []tensor

	old   map[string]*safetensors.Tensor // by the names that the program gave them
	taken map[string]bool                // those that have found their place
	paths []string                       // of the files that old lies in
	close func() error
	err   error // the first complaint
}

func newInput(f *safetensors.File) *input {
	m := &input{old: map[string]*safetensors.Tensor{}, paths: f.Paths(), close: f.Close}
	for _, t := range f.Tensors() {
		m.old[t.Name] = t
	}
	return m
}

// mark notes that a tensor of the old file needs no further place.
func (m *input) mark(name string) {
	if m.taken == nil {
		m.taken = map[string]bool{}
	}
	m.taken[name] = true
}

// tensor is a tensor of the new file: values of one of the old, from the value first on.
type tensor struct {
	name  string
	shape []int // fastest dimension first
	from  *safetensors.Tensor
	first int
	order func(row int) int // where in the old tensor a row, of a vector a value, is, counted from first; nil: in the same place
}

// typeOf returns the type of a tensor of a model in type want.
func (t tensor) typeOf(want quant.Type) quant.Type {
	if len(t.shape) < 2 || strings.Contains(t.name, ".mem_") { // small, and what is learned adds up
		return quant.F32
	}
	return want
}

func (t tensor) rows() int {
	n := 1
	for _, d := range t.shape[1:] {
		n *= d
	}
	return n
}

// fill sets dst to the rows from first on.
func (t tensor) fill(dst []float32, first int) error {
	n := t.shape[0]
	if t.order == nil {
		return t.from.Decode(dst, t.first+first*n)
	}
	if len(t.shape) == 1 {
		n = 1
	}
	for r := range len(dst) / n {
		if err := t.from.Decode(dst[r*n:(r+1)*n], t.first+t.order(first+r)*n); err != nil {
			return err
		}
	}
	return nil
}

// inMemory is a tensor of the old file that none has.
func inMemory(name string, values []float32) *safetensors.Tensor {
	t := &safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: []int{len(values)}}
	for _, v := range values {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
	}
	return t
}

// fail remembers the first complaint.
func (m *input) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// set adds a key to the metadata.
func (m *input) set(key string, value any) {
	if err := m.md.Set(key, value); err != nil {
		m.fail(err)
	}
}

// take finds a tensor of the given shape, slowest dimension first; nil with a complaint if there is none.
func (m *input) take(name string, shape ...int) *safetensors.Tensor {
	t, ok := m.old[name]
	switch {
	case !ok:
		m.fail(fmt.Errorf("tensor %q: missing", name))
		return nil
	case !slices.Equal(t.Shape, shape):
		m.fail(fmt.Errorf("tensor %q: shape %v, want %v", name, t.Shape, shape))
		return nil
	case !t.DType.CanDecode():
		m.fail(fmt.Errorf("tensor %q: type %s is not supported, only F32, F16 and BF16", name, t.DType))
		return nil
	}
	m.mark(name)
	return t
}

// move makes a whole tensor one of the new file.
func (m *input) move(name, from string, shape ...int) {
	m.rows(name, from, 0, shape, shape...)
}

// rows makes some rows of a tensor, which has the shape of, one of the new file, with the given shape: those from row
// first on.
func (m *input) rows(name, from string, first int, of []int, shape ...int) {
	t := m.take(from, of...)
	if t == nil {
		return
	}
	for _, d := range shape[1:] {
		first *= d
	}
	fastest := slices.Clone(shape)
	slices.Reverse(fastest)
	m.tensors = append(m.tensors, tensor{name: name, shape: fastest, from: t, first: first})
}

// finish reports the first complaint, or tensors that nothing has taken: a part of the model whose absence would change
// every answer.
func (m *input) finish() error {
	if m.err != nil {
		return m.err
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(m.old)) {
		if !m.taken[name] {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	more := ""
	if len(unknown) > 3 {
		more = fmt.Sprintf(" and %d more", len(unknown)-3)
		unknown = unknown[:3]
	}
	return errors.New("unknown tensors " + strings.Join(unknown, ", ") + more)
}
