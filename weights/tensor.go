package weights

import (
	"fmt"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Tensor is one tensor of a file. It must not be changed.
type Tensor struct {
	Name string
	Type quant.Type // may be one that package quant cannot decode
	// Shape lists the dimensions, fastest first as in the file: a matrix of 2 rows of 3 values is [3, 2]. At most four;
	// none is a single value; a dimension may be zero.
	Shape []int
	// Data holds the encoded rows one after another. It may be the mapped file itself: it must not be written, nor read
	// after the file's Close. Its address need not be a multiple of anything.
	Data []byte
}

// Elements returns the number of values.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// RowLen returns the number of values in a row, the first dimension.
func (t *Tensor) RowLen() int { return rowLen(t.Shape) }

// Rows returns the number of rows: the product of all dimensions but the first.
func (t *Tensor) Rows() int {
	n := 1
	for i, d := range t.Shape {
		if i > 0 {
			n *= d
		}
	}
	return n
}

// DecodeRows writes the values of the rows from first on to dst, as many rows as dst holds.
func (t *Tensor) DecodeRows(dst []float32, first int) error {
	if err := t.decodeRows(dst, first); err != nil {
		return fmt.Errorf("weights: tensor %s: %w", quote(t.Name), err)
	}
	return nil
}

func (t *Tensor) decodeRows(dst []float32, first int) error {
	if len(dst) == 0 {
		return nil
	}
	rowLen := t.RowLen()
	if rowLen <= 0 || len(dst)%rowLen != 0 {
		return fmt.Errorf("%d values are not a whole number of rows of %d", len(dst), rowLen)
	}
	rowBytes, err := t.Type.RowBytes(rowLen)
	if err != nil {
		return err
	}
	rows, n := t.Rows(), len(dst)/rowLen
	if first < 0 || n > rows-first {
		return fmt.Errorf("there are no rows %d to %d among its %d", first, first+n-1, rows)
	}
	if len(t.Data)/rowBytes < first+n {
		return fmt.Errorf("the data end after %d bytes, within row %d (was the file closed?)", len(t.Data), len(t.Data)/rowBytes)
	}
	return quant.Decode(t.Type, dst, t.Data[first*rowBytes:(first+n)*rowBytes])
}

// Float32s decodes the whole tensor.
func (t *Tensor) Float32s() ([]float32, error) {
	size, err := dataBytes(t.Type, t.Shape)
	if err == nil && size != len(t.Data) {
		err = fmt.Errorf("%d bytes of data where shape %v of type %s takes %d", len(t.Data), t.Shape, t.Type, size)
	}
	if err == nil && !t.Type.CanDecode() {
		err = fmt.Errorf("type %s cannot be decoded", t.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("weights: tensor %s: %w", quote(t.Name), err)
	}
	values := make([]float32, t.Elements())
	return values, t.DecodeRows(values, 0)
}
