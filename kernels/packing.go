package kernels

// Packing is a layout of a weight type in which an implementation multiplies few activation rows faster than as they are
// stored: groups of weight rows interleaved, so that a lane of a vector has a row of its own, and what is needed next
// lies next in memory. Results are the same bits.
type Packing struct {
	// Rows is the number of rows in a group. The last group is filled up with rows of zeros.
	Rows int
	// Step is what a row's number of weights must be a multiple of.
	Step int
	// Mul multiplies a packed matrix.
	Mul MulFunc

	stepBytes int // of a group
	pack      func(dst []byte, rows [][]byte)
}

// PackedBytes is the memory that a matrix takes when it is packed. ok is false if there is no packing for it, or if
// that is how it is.
func (impl *Implementation) PackedBytes(w *Matrix) (n int, ok bool) {
	p := impl.Packings[w.Type]
	if p == nil || w.Packing != nil || w.Cols%p.Step != 0 {
		return 0, false
	}
	return w.groups(p) * p.groupBytes(w.Cols), true
}

// Packed describes memory of as many bytes as PackedBytes says as the packed form of w. What it holds is for
// [Matrix.Pack] to fill in.
func (impl *Implementation) Packed(w *Matrix, memory []byte) Matrix {
	packed := *w
	packed.Packing, packed.Data, packed.RowBytes = impl.Packings[w.Type], memory, 0
	return packed
}

// groups is the number of groups of rows.
func (m *Matrix) groups(p *Packing) int { return (m.Rows + p.Rows - 1) / p.Rows }

func (p *Packing) groupBytes(cols int) int { return cols / p.Step * p.stepBytes }

// Groups is the number of groups of rows in a packed matrix.
func (m *Matrix) Groups() int { return m.groups(m.Packing) }

// Pack fills in groups [from, to) of a packed matrix from the stored rows.
func (m *Matrix) Pack(stored *Matrix, from, to int) {
	rows, size := make([][]byte, m.Packing.Rows), m.Packing.groupBytes(m.Cols)
	zeros := make([]byte, stored.RowBytes)
	for g := from; g < to; g++ {
		for i := range rows {
			rows[i] = zeros
			if r := g*len(rows) + i; r < m.Rows {
				rows[i] = stored.Row(r)
			}
		}
		m.Packing.pack(m.Data[g*size:(g+1)*size], rows)
	}
}
