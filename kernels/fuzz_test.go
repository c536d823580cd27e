package kernels

import (
	"math"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// bytesOf repeats data, each time changed a little, to n bytes.
func bytesOf(data []byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i * 37)
		if len(data) > 0 {
			out[i] = data[i%len(data)] + byte(i/len(data)*29)
		}
	}
	return out
}

// fuzzedRows makes stored rows of arbitrary codes, with numbers that are finite.
func fuzzedRows(typ quant.Type, rows, cols int, data []byte) []byte {
	size, err := typ.RowBytes(cols)
	if err != nil {
		return nil
	}
	if typ.BlockLen() > 1 {
		stored := bytesOf(data, rows*size)
		next := 0
		setScales(typ, stored, func() float32 {
			next++
			return float32(int8(stored[next*7%len(stored)])) / 128
		})
		return stored
	}
	values := make([]float32, rows*cols)
	for i, b := range bytesOf(data, len(values)) {
		values[i] = float32(int8(b)) / 64
	}
	stored := make([]byte, rows*size)
	if quant.Encode(typ, stored, values) != nil {
		return nil
	}
	return stored
}

// FuzzMul multiplies rows of any codes in any shape and holds every implementation against the reference.
func FuzzMul(f *testing.F) {
	for i := range quant.Types() {
		f.Add(uint8(i), uint8(17), uint8(5), uint8(1), uint8(0), []byte{0xff, 0x80, 0x7f, 0, 1})
		f.Add(uint8(i), uint8(5), uint8(34), uint8(7), uint8(3), []byte("any codes"))
	}
	f.Fuzz(func(t *testing.T, which, rowCount, length, columnCount, from uint8, data []byte) {
		typ := quant.Types()[int(which)%len(quant.Types())]
		rows, n := int(rowCount%40)+1, int(columnCount%10)+1
		cols := (int(length) + 1) * typ.BlockLen()
		if typ.BlockLen() == 256 {
			cols = (int(length%9) + 1) * 256
		}
		stored := fuzzedRows(typ, rows, cols, data)
		m, err := NewMatrix(typ, rows, cols, stored)
		if err != nil {
			t.Fatal(err)
		}
		first := int(from) % rows
		values := make([]float32, rows*cols)
		if err := quant.Decode(typ, values, stored); err != nil {
			t.Fatal(err)
		}
		for _, impl := range Implementations() {
			x := NewActivations(n, cols, FormOf(typ))
			for i, b := range bytesOf(append(data, 3), n*cols) {
				x.Float[i] = float32(int8(b)) / 16
			}
			for c := range n {
				impl.Convert(x, c, 0, cols)
			}
			var pick []int32
			if from&1 == 1 {
				pick = []int32{int32(n - 1), 0, int32(n / 2)}
			}
			count := columns(x, pick)
			got, want := make([]float32, count*rows), make([]float32, count*rows)
			impl.Mul[typ](got, rows, &m, first, rows, x, pick, new(Scratch))
			generic.Mul[typ](want, rows, &m, first, rows, x, pick, new(Scratch))
			for c := range count {
				for r := range rows {
					sum := magnitudes(values[r*cols:(r+1)*cols], x.Row(picked(pick, c)))
					if diff := math.Abs(float64(got[c*rows+r] - want[c*rows+r])); !(diff <= 1e-5*sum) {
						t.Fatalf("%s: %s, rows %d to %d of %d, %d columns: row %d with column %d is %v, want %v",
							impl.Name, typ, first, rows, cols, count, r, c, got[c*rows+r], want[c*rows+r])
					}
				}
			}
		}
	})
}

// magnitudes is Σ|w|·|x| with the largest |x| for every one: a minimum and what it is taken off may each be as large as
// that allows.
func magnitudes(w, x []float32) (sum float64) {
	var most float64
	for _, v := range x {
		most = max(most, math.Abs(float64(v)))
	}
	for _, v := range w {
		sum += math.Abs(float64(v)) * most
	}
	return sum + most*float64(len(w))
}
