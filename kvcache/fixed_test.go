package kvcache

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// fixedRow is what a test puts into a row.
func fixedRow(head, row, dim int, of float32) []float32 {
	x := make([]float32, dim)
	for i := range x {
		x[i] = of*float32(1000*head+10*row+i) + 1
	}
	return x
}

// TestFixedIsACache holds the views of fixed rows against those of a cache with the same rows.
func TestFixedIsACache(t *testing.T) {
	const heads, keyDim, valueDim, capacity = 2, 8, 6, 150
	f := NewFixed(heads, keyDim, valueDim, capacity)
	c, err := New(Config{Layers: 1, Heads: heads, KeyDim: keyDim, ValueDim: valueDim, Type: quant.F32})
	if err != nil {
		t.Fatal(err)
	}
	for r := range capacity {
		f.Append(int32(3 * r))
		if _, err := c.Append([]int32{int32(3 * r)}); err != nil {
			t.Fatal(err)
		}
		for h := range heads {
			key, value := fixedRow(h, r, keyDim, 1), fixedRow(h, r, valueDim, -1)
			if err := f.Put(h, r, key, value); err != nil {
				t.Fatal(err)
			}
			k, v := make([]byte, 4*keyDim), make([]byte, 4*valueDim)
			putFloats(k, key)
			putFloats(v, value)
			if err := c.Put(0, h, r, k, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	same := func(what string, f *Fixed) {
		t.Helper()
		for h := range heads {
			got, want := f.View(h), c.View(0, h)
			if got.Rows() != want.Rows() || len(got.Spans) != len(want.Spans) || got.KeyBytes != want.KeyBytes || got.ValueBytes != want.ValueBytes {
				t.Fatalf("%s, head %d: %d rows, want %d", what, h, got.Rows(), want.Rows())
			}
			for i, span := range got.Spans {
				other := want.Spans[i]
				n := span.Rows()
				if n != other.Rows() || span.Last != other.Last || span.First != other.First || span.Until(9) != other.Until(9) {
					t.Fatalf("%s, head %d: span %d differs", what, h, i)
				}
				for r := range n {
					a, b := make([]byte, 4*keyDim), make([]byte, 4*keyDim)
					kernels.TakeKey(a, quant.F32, keyDim, r, span.Keys)
					kernels.TakeKey(b, quant.F32, keyDim, r, other.Keys)
					if !bytes.Equal(a, b) || !bytes.Equal(span.Values[r*4*valueDim:(r+1)*4*valueDim], other.Values[r*4*valueDim:(r+1)*4*valueDim]) {
						t.Fatalf("%s, head %d, row %d differs", what, h, span.First+r)
					}
				}
			}
		}
	}
	same("appended", f)
	size := f.Bytes()
	clone, saved := f.Clone(), f.Save(nil)
	f.Truncate(0)
	if f.Rows() != 0 || f.Bytes() != size || size != FixedBytes(heads, keyDim, valueDim, capacity) {
		t.Errorf("%d rows, %d bytes, were %d", f.Rows(), f.Bytes(), size)
	}
	same("a copy", clone)
	positions := make([]int32, capacity)
	for i := range positions {
		positions[i] = int32(3 * i)
	}
	if err := f.Restore(saved, positions); err != nil {
		t.Fatal(err)
	}
	same("restored", f)
	broken := bytes.Clone(saved)
	binary.LittleEndian.PutUint32(broken[400:], math.Float32bits(float32(math.NaN())))
	for name, err := range map[string]error{
		"half":          f.Restore(saved[:len(saved)/2], positions),
		"no number":     f.Restore(broken, positions),
		"fewer rows":    f.Restore(saved, positions[1:]),
		"too many":      NewFixed(heads, keyDim, valueDim, capacity-1).Restore(saved, positions),
		"infinite":      f.Put(0, 0, []float32{float32(math.Inf(1)), 0, 0, 0, 0, 0, 0, 0}, make([]float32, valueDim)),
		"NaN of values": f.Put(1, 0, make([]float32, keyDim), []float32{0, 0, 0, 0, 0, float32(math.NaN())}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	same("after errors", f)
}
