package kernels

import (
	"math"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Q8Block is the number of activations that share a scale.
const Q8Block = 32

// Form is a set of the forms, beside plain float32, in which products read their activations.
type Form uint8

const (
	// FormQ8 is 8-bit integers in blocks of 32 with a scale, for block weight types.
	FormQ8 Form = 1 << iota
	// FormBF16 is rounded to bfloat16, for BF16 weights: their products take pairs of bfloat16, as the instructions for
	// them do.
	FormBF16
	// FormQ8Halves is what goes with FormQ8 for weights that have a scale for every 16.
	FormQ8Halves
)

// FormOf returns the form that products with weights of type t read; 0 is float32.
func FormOf(t quant.Type) Form {
	if inHalves(t) {
		return FormQ8 | FormQ8Halves
	}
	if _, ok := unpackers[t]; ok {
		return FormQ8
	}
	if t == quant.BF16 {
		return FormBF16
	}
	return 0
}

// inHalves reports whether the 16 weights of half a block have a scale of their own.
func inHalves(t quant.Type) bool { return t == quant.Q2_K || t == quant.Q3_K || t == quant.Q6_K }

// Activations are the right-hand side of matrix products: rows of Cols values. Float is filled by whoever makes them,
// and Implementation.Convert makes the other forms from it, once for all the products that read them.
//
// In the Q8 form, value i of a row is Scales[i/32]·Q[i], |Q[i]| ≤ 127. The scale of a block is its largest magnitude
// over 127. All Q of a block are 0 where 127 over that magnitude is no float32 (up to 127·2⁻¹²⁸), and where it is not
// finite: a block with an infinite value has the scale +Inf, one with a NaN the scale NaN, so that every product with
// the row is NaN.
type Activations struct {
	Rows, Cols int
	Float      []float32 // [rows, cols]
	Q          []int8    // [rows, cols]
	Scales     []float32 // [rows, cols/32]
	Sums       []int16   // [rows, cols/16]: sums of 16 neighbours in Q
	BF16       []uint16  // [rows, cols]

	// What kernels that multiply by unsigned weights, w+128, read beside Q, for each block and for each half of one:
	// Starts is −128·Σq, BlockSums is the scale times Σq. Only the implementations that read them fill them.
	Starts, HalfStarts  []int32   // [rows, cols/32], [rows, cols/16]
	BlockSums, HalfSums []float32 // [rows, cols/32], [rows, cols/16]
	HalfScales          []float32 // [rows, cols/16]: Scales, each twice

	forms Form
}

// NewActivations makes room for rows × cols values as float32 and in the given forms.
func NewActivations(rows, cols int, forms Form) *Activations {
	x := &Activations{forms: forms}
	x.Resize(rows, cols)
	return x
}

// Resize makes room for rows of cols values, in the memory there is if that is enough. The contents are lost.
func (x *Activations) Resize(rows, cols int) {
	n := rows * cols
	x.Rows, x.Cols = rows, cols
	if n <= len(x.Float) {
		return
	}
	x.Float = make([]float32, n)
	if x.forms&FormQ8 != 0 {
		// n/32 scales are enough for any number of rows that come to n values.
		x.Q, x.Scales, x.Sums = make([]int8, n), make([]float32, n/Q8Block), make([]int16, n/groupLen)
		x.Starts, x.BlockSums = make([]int32, n/Q8Block), make([]float32, n/Q8Block)
		x.HalfStarts, x.HalfSums, x.HalfScales = make([]int32, n/groupLen), make([]float32, n/groupLen), make([]float32, n/groupLen)
	}
	if x.forms&FormBF16 != 0 {
		x.BF16 = make([]uint16, n)
	}
}

// ActivationBytes is the memory that rows × cols values take in float32 and the given forms.
func ActivationBytes(rows, cols int, forms Form) int64 {
	n := int64(rows) * int64(cols)
	bytes := 4 * n
	if forms&FormQ8 != 0 {
		bytes += n + n/Q8Block*12 + n/groupLen*14
	}
	if forms&FormBF16 != 0 {
		bytes += 2 * n
	}
	return bytes
}

// Row returns the float form of row r.
func (x *Activations) Row(r int) []float32 { return x.Float[r*x.Cols : (r+1)*x.Cols] }

// q8 returns the quantized form of row r.
func (x *Activations) q8(r int) (q []int8, scales []float32, sums []int16) {
	n, blocks, groups := x.Cols, x.Cols/Q8Block, x.Cols/groupLen
	return x.Q[r*n : (r+1)*n], x.Scales[r*blocks : (r+1)*blocks], x.Sums[r*groups : (r+1)*groups]
}

func (x *Activations) bf16(r int) []uint16 { return x.BF16[r*x.Cols : (r+1)*x.Cols] }

// convertGeneric makes the forms that x has room for.
func convertGeneric(x *Activations, r, from, to int) {
	if x.forms&FormQ8 != 0 {
		quantizeQ8(x, r, from/Q8Block, to/Q8Block)
	}
	if x.forms&FormBF16 != 0 {
		out, row := x.bf16(r), x.Row(r)
		for i := from; i < to; i++ {
			out[i] = quant.F32ToBF16(row[i])
		}
	}
}

// lostQ8 is the largest number that 127 over which is more than a float32 can be.
const lostQ8 = 127 * 0x1p-128

// quantizeQ8 rounds the values of each of the blocks [first, end) to the nearest multiples of its largest magnitude over
// 127, ties to even.
func quantizeQ8(x *Activations, r, first, end int) {
	q, scales, sums := x.q8(r)
	row := x.Row(r)
	for b := first; b < end; b++ {
		block := row[b*Q8Block : (b+1)*Q8Block]
		var most float32
		for _, v := range block {
			most = max(most, v, -v) // NaN, if one of them is
		}
		scales[b] = most / 127
		out := q[b*Q8Block : (b+1)*Q8Block]
		if !(most > lostQ8 && most <= math.MaxFloat32) {
			clear(out)
			sums[2*b], sums[2*b+1] = 0, 0
			continue
		}
		inverse := 127 / most
		var sum [2]int16
		for i, v := range block {
			n := int8(math.RoundToEven(float64(v * inverse)))
			out[i] = n
			sum[i/groupLen] += int16(n)
		}
		sums[2*b], sums[2*b+1] = sum[0], sum[1]
	}
}
