package kvcache

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Fixed is a few float32 rows that queries see beside those of a Cache, in memory that does not grow: of each KV head up to so many
// keys and values.
type Fixed struct {
	keyDim, valueDim int
	keys, values     []byte // [heads, capacity]: keys in whole groups
	positions        []int32
	views            []View // of each head
	rows             int
	row              []byte
}

// NewFixed makes room for so many rows.
func NewFixed(heads, keyDim, valueDim, capacity int) *Fixed {
	f := &Fixed{keyDim: keyDim, valueDim: valueDim, positions: make([]int32, capacity), views: make([]View, heads)}
	whole := kernels.WholeGroups(capacity)
	f.keys, f.values = make([]byte, 4*heads*whole*keyDim), make([]byte, 4*heads*capacity*valueDim)
	f.row = make([]byte, 4*heads*max(keyDim, valueDim))
	for h := range f.views {
		f.views[h] = View{
			Type: quant.F32, KeyDim: keyDim, ValueDim: valueDim, KeyBytes: 4 * keyDim, ValueBytes: 4 * valueDim,
			Spans: make([]Span, 0, pagesOf(capacity)),
		}
	}
	return f
}

// FixedBytes is the size of the rows of such a Fixed.
func FixedBytes(heads, keyDim, valueDim, capacity int) int64 {
	return 4 * (int64(heads)*(int64(kernels.WholeGroups(capacity))*int64(keyDim)+int64(capacity)*int64(valueDim)) + int64(capacity))
}

// Bytes is the size of the rows, those that are there and those that there is room for.
func (f *Fixed) Bytes() int64 { return int64(len(f.keys) + len(f.values) + 4*len(f.positions)) }

// Rows is the number of rows.
func (f *Fixed) Rows() int { return f.rows }

// Append makes rows for positions, which must not descend nor be more than there is room for. They are to be filled with Put.
func (f *Fixed) Append(positions ...int32) {
	f.rows += copy(f.positions[f.rows:], positions)
	f.refresh()
}

// Truncate drops all rows but the first n.
func (f *Fixed) Truncate(n int) {
	f.rows = min(n, f.rows)
	f.refresh()
}

func (f *Fixed) refresh() {
	capacity := len(f.positions)
	keyBytes, valueBytes := 4*f.keyDim, 4*f.valueDim
	for h := range f.views {
		keys := f.keys[h*kernels.WholeGroups(capacity)*keyBytes:]
		values := f.values[h*capacity*valueBytes:]
		v := &f.views[h]
		v.Spans = v.Spans[:0]
		for first := 0; first < f.rows; first += PageRows {
			end := min(first+PageRows, f.rows)
			v.Spans = append(v.Spans, Span{
				First: first, Keys: keys[first*keyBytes : kernels.WholeGroups(end)*keyBytes], Values: values[first*valueBytes : end*valueBytes],
				Positions: f.positions[first:end], Last: f.positions[end-1],
			})
		}
	}
}

// View returns the rows of a KV head. It holds until the next Append or Truncate.
func (f *Fixed) View(head int) View { return f.views[head] }

// Put fills a row of a KV head. It may run in several goroutines at once for different heads. Values that are not finite are
// refused: they would spoil results of queries that do not see them.
func (f *Fixed) Put(head, row int, key, value []float32) error {
	for i, x := range [...][]float32{key, value} {
		for d, v := range x {
			if v-v != 0 {
				return fmt.Errorf("kvcache: dimension %d of a %s is %v", d, [...]string{"key", "value"}[i], v)
			}
		}
	}
	width := max(f.keyDim, f.valueDim)
	bytes := f.row[4*head*width:][:4*width]
	putFloats(bytes, key)
	capacity := len(f.positions)
	groups := kernels.WholeGroups(capacity) * 4 * f.keyDim
	kernels.PutKey(f.keys[head*groups:(head+1)*groups], quant.F32, f.keyDim, row, bytes[:4*f.keyDim])
	putFloats(f.values[(head*capacity+row)*4*f.valueDim:], value)
	return nil
}

func putFloats(to []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint32(to[4*i:], math.Float32bits(v))
	}
}

// Clone returns a copy.
func (f *Fixed) Clone() *Fixed {
	g := NewFixed(len(f.views), f.keyDim, f.valueDim, len(f.positions))
	copy(g.keys, f.keys)
	copy(g.values, f.values)
	copy(g.positions, f.positions)
	g.rows = f.rows
	g.refresh()
	return g
}

// Save appends the rows' keys and values.
func (f *Fixed) Save(to []byte) []byte {
	capacity := len(f.positions)
	groups := kernels.WholeGroups(capacity) * 4 * f.keyDim
	for h := range f.views {
		for r := range f.rows {
			n := len(to)
			to = slices.Grow(to, 4*f.keyDim)[:n+4*f.keyDim]
			kernels.TakeKey(to[n:], quant.F32, f.keyDim, r, f.keys[h*groups:(h+1)*groups])
		}
		to = append(to, f.values[h*capacity*4*f.valueDim:][:f.rows*4*f.valueDim]...)
	}
	return to
}

// Restore makes the rows those that were saved, at the given positions, no more than there is room for. On an error nothing
// changes.
func (f *Fixed) Restore(saved []byte, positions []int32) error {
	n := len(positions)
	k, v := 4*n*f.keyDim, 4*n*f.valueDim
	if n > len(f.positions) || len(saved) != len(f.views)*(k+v) {
		return fmt.Errorf("kvcache: %d bytes are not %d rows of %d heads, %d at the most", len(saved), n, len(f.views), len(f.positions))
	}
	for i := 0; i < len(saved); i += 4 {
		if x := math.Float32frombits(binary.LittleEndian.Uint32(saved[i:])); x-x != 0 {
			return fmt.Errorf("kvcache: value %d of saved rows is %v", i/4, x)
		}
	}
	f.Truncate(0)
	f.Append(positions...)
	capacity := len(f.positions)
	groups := kernels.WholeGroups(capacity) * 4 * f.keyDim
	for h := range f.views {
		for r := range n {
			kernels.PutKey(f.keys[h*groups:(h+1)*groups], quant.F32, f.keyDim, r, saved[4*r*f.keyDim:4*(r+1)*f.keyDim])
		}
		copy(f.values[h*capacity*4*f.valueDim:], saved[k:k+v])
		saved = saved[k+v:]
	}
	return nil
}
