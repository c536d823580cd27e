package kernels

import (
	"fmt"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Matrix is a weight matrix: rows of Cols values, each row a run of whole blocks as they are stored, or else packed.
type Matrix struct {
	Type       quant.Type
	Rows, Cols int
	RowBytes   int      // 0 if packed
	Data       []byte   // [Rows, RowBytes]
	Packing    *Packing // nil: as stored. A packed matrix is multiplied by the packing, and has no Row or Slice
}

// NewMatrix describes data as a matrix of rows × cols values. It is an error if the size is not that of the shape or
// if there is no kernel for the type.
func NewMatrix(t quant.Type, rows, cols int, data []byte) (Matrix, error) {
	if _, ok := generic.Mul[t]; !ok {
		return Matrix{}, fmt.Errorf("no kernel for type %s", t)
	}
	rowBytes, err := t.RowBytes(cols)
	if err != nil {
		return Matrix{}, err
	}
	if rows < 0 || rowBytes > 0 && rows != len(data)/rowBytes || rows*rowBytes != len(data) {
		return Matrix{}, fmt.Errorf("%d bytes are not %d rows of %d", len(data), rows, rowBytes)
	}
	return Matrix{Type: t, Rows: rows, Cols: cols, RowBytes: rowBytes, Data: data}, nil
}

// Row returns the stored bytes of row r.
func (m *Matrix) Row(r int) []byte { return m.Data[r*m.RowBytes : (r+1)*m.RowBytes] }

// Slice returns the rows [from, to) as a matrix that shares the memory.
func (m *Matrix) Slice(from, to int) Matrix {
	part := *m
	part.Rows = to - from
	part.Data = m.Data[from*m.RowBytes : to*m.RowBytes]
	return part
}
