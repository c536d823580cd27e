package neural

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

func TestRestoreRefuses(t *testing.T) {
	m, _, rows := random(t, shapes["MLP, in chunks"], 11)
	st, out := m.NewState(), make([]float32, 11*m.Heads*m.Dim)
	advance(m, NewScratch(kernels.Implementations()[0], new(kernels.Scratch)), st, rows, 0, 11, out)
	good := st.Save(nil)
	put := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[at:], v)
			return b
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"empty":      func(b []byte) []byte { return nil },
		"magic":      put(0, 1),
		"version":    put(4, 1),
		"heads":      put(8, 1),
		"depth":      put(16, 3),
		"flags":      put(32, 0),
		"fill":       put(36, 8),
		"short":      func(b []byte) []byte { return b[:len(b)-1] },
		"header":     func(b []byte) []byte { return b[:stateHeader] },
		"half":       func(b []byte) []byte { return b[:stateHeader/2] },
		"long":       func(b []byte) []byte { return append(b, 0) },
		"NaN":        put(stateHeader+40, math.Float32bits(float32(math.NaN()))),
		"infinite":   put(len(good)-4, math.Float32bits(float32(math.Inf(-1)))),
		"other fill": put(36, 1<<31),
	} {
		if err := st.Restore(change(bytes.Clone(good)), 11); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(st.Save(nil), good) {
			t.Fatalf("%s: the state changed", name)
		}
	}
	for _, rows := range []int{-1, 0, 10, 12} {
		if err := st.Restore(good, rows); !errors.Is(err, ErrState) {
			t.Errorf("the state of 11 rows for a text of %d: %v", rows, err)
		}
	}
	other, _, _ := random(t, shapes["MLP, read after"], 1)
	if err := other.NewState().Restore(good, 11); !errors.Is(err, ErrState) {
		t.Errorf("of another memory: %v", err)
	}
	if st.Reset(); !bytes.Equal(st.Save(nil), m.NewState().Save(nil)) {
		t.Error("a state that was reset is not as a new one")
	}
}

func FuzzRestore(f *testing.F) {
	c := Config{Heads: 1, Dim: 2, Depth: 2, Expansion: 1, Chunk: 3, Momentum: true, Convolution: 2, MostStep: 1, MostMomentum: 1}
	m, err := New(c, Weights{Initial: [][]float32{{1, 2, 3, 4}, {5, 6, 7, 8}}, Convolution: make([]float32, parts*4), Norm: []float32{1, 1}})
	if err != nil {
		f.Fatal(err)
	}
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	texts := Rows{Q: x, K: x, V: x, Gates: append(x, x...), Out: x}
	s := NewScratch(kernels.Implementations()[0], new(kernels.Scratch))
	st, out := m.NewState(), make([]float32, 10)
	f.Add(st.Save(nil), 0)
	advance(m, s, st, texts, 0, 5, out)
	f.Add(st.Save(nil), 5)
	f.Fuzz(func(t *testing.T, data []byte, rows int) {
		st := m.NewState()
		if st.Restore(data, rows) != nil {
			return
		}
		if !bytes.Equal(st.Save(nil), data) {
			t.Fatal("what was restored is saved as something else")
		}
		// Steps from values as large as these may diverge, which is then said.
		if err := m.Advance(s, st, 0, texts, []int32{0, 1, 2, 3, 4}, out); err != nil && !errors.Is(err, ErrDiverged) {
			t.Fatal(err)
		}
	})
}
