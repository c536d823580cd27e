package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// linear is y = Wx + b. The bias may be nil.
type linear struct {
	kernels.Matrix
	bias []float32
}

// slice returns the rows [from, to) as a linear map of their own.
func (l linear) slice(from, to int) linear {
	part := linear{Matrix: l.Matrix.Slice(from, to)}
	if l.bias != nil {
		part.bias = l.bias[from:to]
	}
	return part
}

// loader takes tensors out of a file by name, checks their shapes and remembers the first complaint and what was
// taken.
type loader struct {
	file  *weights.File
	taken map[string]bool
	forms kernels.Form // of activations that some matrix reads
	err   error
}

func newLoader(f *weights.File) *loader { return &loader{file: f, taken: map[string]bool{}} }

func (l *loader) fail(name, format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("model: tensor %q: %w", name, fmt.Errorf(format, args...))
	}
}

func (l *loader) has(name string) bool {
	_, ok := l.file.Tensor(name)
	return ok
}

// tensor finds a tensor of the given shape, fastest dimension first.
func (l *loader) tensor(name string, shape ...int) *weights.Tensor {
	t, ok := l.file.Tensor(name)
	if !ok {
		l.fail(name, "missing")
		return nil
	}
	l.taken[name] = true
	got := t.Shape
	for len(got) > len(shape) && got[len(got)-1] == 1 {
		got = got[:len(got)-1]
	}
	if !slices.Equal(got, shape) {
		l.fail(name, "shape %v, want %v", t.Shape, shape)
		return nil
	}
	return t
}

// vector reads n values as float32.
func (l *loader) vector(name string, n int) []float32 {
	t := l.tensor(name, n)
	if t == nil {
		return nil
	}
	out := make([]float32, n)
	if err := quant.Decode(t.Type, out, t.Data); err != nil {
		l.fail(name, "%w", err)
	}
	return out
}

// optional reads a vector that may be absent.
func (l *loader) optional(name string, n int) []float32 {
	if !l.has(name) {
		return nil
	}
	return l.vector(name, n)
}

// linear reads PREFIX.weight [in, out] and, if there is one, PREFIX.bias [out].
func (l *loader) linear(prefix string, in, out int) linear {
	name := prefix + ".weight"
	t := l.tensor(name, in, out)
	if t == nil {
		return linear{}
	}
	return linear{Matrix: l.matrix(name, t.Type, out, in, t.Data), bias: l.optional(prefix+".bias", out)}
}

func (l *loader) matrix(name string, t quant.Type, rows, cols int, data []byte) kernels.Matrix {
	m, err := kernels.NewMatrix(t, rows, cols, data)
	if err != nil {
		l.fail(name, "%w", err)
		return kernels.Matrix{}
	}
	l.forms |= kernels.FormOf(t)
	return m
}

// experts reads PREFIX_exps.weight [in, out, n], or one PREFIX.E.weight for each expert as older files have them.
func (l *loader) experts(prefix string, in, out, n int) []linear {
	list := make([]linear, n)
	name := prefix + "_exps.weight"
	if !l.has(name) && l.has(prefix+".0.weight") {
		for e := range list {
			list[e] = l.linear(fmt.Sprintf("%s.%d", prefix, e), in, out)
		}
		return list
	}
	t := l.tensor(name, in, out, n)
	if t == nil {
		return nil
	}
	size := len(t.Data) / n
	for e := range list {
		list[e] = linear{Matrix: l.matrix(name, t.Type, out, in, t.Data[e*size:(e+1)*size])}
	}
	return list
}

// finish reports the first complaint, or tensors that nothing has taken: a part of the model that this code does not
// know, whose absence would change every answer.
func (l *loader) finish(what string) error {
	if l.err != nil {
		return l.err
	}
	var unknown []string
	for _, t := range l.file.Tensors() {
		if !l.taken[t.Name] {
			unknown = append(unknown, t.Name)
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
	return fmt.Errorf("model: %s has no use for %s%s: %w", what, strings.Join(unknown, ", "), more, ErrTensor)
}

// ErrTensor is wrapped when a file holds tensors that its architecture does not know.
var ErrTensor = errors.New("unknown tensor")
