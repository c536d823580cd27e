package kernels

import "fmt"

// Gemm is a product of float32 matrices that lie in rows, as BLAS has it:
//
//	C = Alpha·op(A)·op(B) + Beta·C
//
// with op(X) either X or its transpose. If Beta is 0, C need not hold numbers before; if Alpha is 0, nor do A and B.
type Gemm struct {
	TransA, TransB bool
	M, N, K        int // op(A) is [M, K], op(B) is [K, N], C is [M, N]
	Alpha          float32
	A              []float32
	LDA            int // values from one row of A, as it is stored, to the next
	B              []float32
	LDB            int
	Beta           float32
	C              []float32
	LDC            int
}

// Check returns an error unless the matrices have room for their shapes.
func (g *Gemm) Check() error {
	if g.M < 0 || g.N < 0 || g.K < 0 {
		return fmt.Errorf("kernels: product of [%d, %d] and [%d, %d]: a negative size", g.M, g.K, g.K, g.N)
	}
	aRows, aCols, bRows, bCols := g.M, g.K, g.K, g.N
	if g.TransA {
		aRows, aCols = aCols, aRows
	}
	if g.TransB {
		bRows, bCols = bCols, bRows
	}
	if err := checkRows("A", len(g.A), g.LDA, aRows, aCols); err != nil {
		return err
	}
	if err := checkRows("B", len(g.B), g.LDB, bRows, bCols); err != nil {
		return err
	}
	return checkRows("C", len(g.C), g.LDC, g.M, g.N)
}

func checkRows(name string, values, stride, rows, cols int) error {
	if stride < cols {
		return fmt.Errorf("kernels: rows of %s have %d values, but are %d apart", name, cols, stride)
	}
	if rows == 0 || cols == 0 {
		return nil
	}
	// (rows-1)·stride + cols, where that may be more than an int holds
	if values < cols || (values-cols)/stride < rows-1 {
		return fmt.Errorf("kernels: %s has %d values, too few for %d rows of %d that are %d apart", name, values, rows, cols, stride)
	}
	return nil
}

// part returns the product for the rows [fromRow, toRow) and the columns [fromCol, toCol) of C, which are some.
func (g *Gemm) part(fromRow, toRow, fromCol, toCol int) Gemm {
	p := *g
	p.M, p.N = toRow-fromRow, toCol-fromCol
	p.C = g.C[fromRow*g.LDC+fromCol:]
	if g.K == 0 {
		return p
	}
	if g.TransA {
		p.A = g.A[fromRow:]
	} else {
		p.A = g.A[fromRow*g.LDA:]
	}
	if g.TransB {
		p.B = g.B[fromCol*g.LDB:]
	} else {
		p.B = g.B[fromCol:]
	}
	return p
}

// scale multiplies C by Beta, one row after the other by times. It reports whether that is all there is to do.
func (g *Gemm) scale(times func(row []float32, by float32)) (done bool) {
	if g.M == 0 || g.N == 0 {
		return true
	}
	done = g.Alpha == 0 || g.K == 0
	switch {
	case g.Beta == 1:
		return done
	case g.LDC == g.N && g.Beta != 0:
		times(g.C[:g.M*g.N], g.Beta)
		return done
	}
	for i := range g.M {
		row := g.C[i*g.LDC : i*g.LDC+g.N]
		if g.Beta == 0 {
			clear(row)
			continue
		}
		times(row, g.Beta)
	}
	return done
}

func timesGeneric(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}

func gemmGeneric(g *Gemm, _ *Scratch) {
	if g.scale(timesGeneric) {
		return
	}
	aRow, aCol := g.LDA, 1
	if g.TransA {
		aRow, aCol = aCol, aRow
	}
	for i := range g.M {
		out := g.C[i*g.LDC : i*g.LDC+g.N]
		a := g.A[i*aRow:]
		if !g.TransB {
			for l := range g.K {
				axpyGeneric(g.Alpha*a[l*aCol], g.B[l*g.LDB:l*g.LDB+g.N], out)
			}
			continue
		}
		for j := range out {
			var sum float32
			for l, v := range g.B[j*g.LDB : j*g.LDB+g.K] {
				sum += float32(a[l*aCol] * v)
			}
			out[j] += float32(g.Alpha * sum)
		}
	}
}

// The largest blocks in which kernels take op(A) and op(B). A panel of B should stay in the first or second level of cache
// while all rows of a block of A meet it, and the block of A in the second while it meets all panels.
const (
	gemmRows  = 192
	gemmDepth = 256
	gemmCols  = 1024
)

// A part of a product that a thread takes on has at least so many rows or columns: it brings the other matrix into the
// order of the kernels for itself.
const (
	partRows = 96
	partCols = 128
)

// gemmTask is a product that a team computes.
type gemmTask struct {
	impl *Implementation
	*Gemm
}

// Work shares out the columns of C or, if there are more of them, its rows.
func (t *gemmTask) Work(w *Worker) {
	some := 2 * w.Threads() // parts, so that a slower thread does fewer
	if t.N >= t.M {
		grain := max(partCols, evenly(t.N, t.N/some, 4*KeyGroup))
		w.For(t.N, grain, func(from, to int) {
			p := t.part(0, t.M, from, to)
			t.impl.Gemm(&p, &w.Scratch)
		})
		return
	}
	grain := max(partRows, evenly(t.M, t.M/some, 12))
	w.For(t.M, grain, func(from, to int) {
		p := t.part(from, to, 0, t.N)
		t.impl.Gemm(&p, &w.Scratch)
	})
}

// evenly returns the size of pieces, a multiple of step, when n is cut into the fewest of at most that size or about it.
func evenly(n, size, step int) int {
	pieces := max((n+max(size, 1)-1)/max(size, 1), 1)
	return max((n+pieces-1)/pieces+step-1, step) / step * step
}

// Gemm computes a product with all threads of the team. The result does not depend on how many there are.
func (t *Team) Gemm(impl *Implementation, g *Gemm) error {
	if err := g.Check(); err != nil {
		return err
	}
	if g.M == 0 || g.N == 0 {
		return nil
	}
	_, err := t.Run(&gemmTask{impl, g}, nil)
	return err
}
