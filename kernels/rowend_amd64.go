//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
)

// endBytes is the most that the last chunk of a row takes, in blocks of 32 weights.
const endBytes = asm.Dot4Chunk / Q8Block * 34

// rowEnd is the last chunk of four weight rows and of the activations that meet them, filled up with zeros to whole steps:
// blocks whose scale is zero add nothing.
type rowEnd struct {
	rows   [4][endBytes]byte
	q      [asm.Dot4Chunk]int8
	scales [asm.Dot4Chunk / Q8Block]float32
	starts [asm.Dot4Chunk / Q8Block]int32
	sums   [asm.Dot4Chunk / Q8Block]float32
}

// takeEnd makes copies of activations from the given one on.
func (s *nativeScratch) takeEnd(k *tileKernel, x *Activations, column, first int) {
	if s.end == nil {
		s.end = new(rowEnd)
	}
	e := s.end
	scales, starts, sums := k.column(x)
	from, to := column*x.Cols+first, (column+1)*x.Cols
	copyEnd(e.q[:], x.Q[from:to])
	copyEnd(e.scales[:], scales[from/k.group:to/k.group])
	copyEnd(e.starts[:], starts[from/k.group:to/k.group])
	copyEnd(e.sums[:], sums[from/k.group:to/k.group])
}

func copyEnd[T any](dst, src []T) { clear(dst[copy(dst, src):]) }

// dot adds the products of four rows from r on, from weight first on.
func (e *rowEnd) dot(k *tileKernel, w *Matrix, r, to, first int, t *asm.Dot4) {
	length, size := w.Type.BlockLen(), w.Type.BlockBytes()
	t.Steps, t.Ahead = (w.Cols-first+k.step-1)/k.step, 0
	at, end := first/length*size, t.Steps*k.step/length*size
	for i := range t.Rows {
		copyEnd(e.rows[i][:end], w.Data[min(r+i, to-1)*w.RowBytes+at:][:w.RowBytes-at])
		t.Rows[i] = &e.rows[i][0]
	}
	t.Q, t.ColumnScales, t.Column = &e.q[0], &e.scales[0], unsafe.Pointer(&e.starts[0])
	if k.mins {
		t.Column = unsafe.Pointer(&e.sums[0])
	}
	k.dot(t)
}
