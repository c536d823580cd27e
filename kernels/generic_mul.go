package kernels

import "github.com/mneme-lm/mneme/weights/quant"

// genericMul lists the reference product of every weight type: float types through their decoded rows, block types
// through unpacked rows and quantized activations.
func genericMul() map[quant.Type]MulFunc {
	products := map[quant.Type]MulFunc{quant.F32: mulFloat, quant.F16: mulFloat, quant.BF16: mulBF16}
	for t := range unpackers {
		products[t] = mulQ8
	}
	return products
}

// columns is the number of activation rows that a product covers.
func columns(x *Activations, pick []int32) int {
	if pick == nil {
		return x.Rows
	}
	return len(pick)
}

func picked(pick []int32, c int) int {
	if pick == nil {
		return c
	}
	return int(pick[c])
}

func mulFloat(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	row := s.Floats(w.Cols)
	for r := from; r < to; r++ {
		decodeRow(row, w.Row(r), w.Type)
		for c := range columns(x, pick) {
			dst[c*stride+r] = dotGeneric(row, x.Row(picked(pick, c)))
		}
	}
}

// mulBF16 multiplies bfloat16 by bfloat16 and adds up in float32.
func mulBF16(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	row := s.Floats(w.Cols)
	for r := from; r < to; r++ {
		decodeRow(row, w.Row(r), w.Type)
		for c := range columns(x, pick) {
			dst[c*stride+r] = dotBF16(row, x.bf16(picked(pick, c)))
		}
	}
}

// bf16Block is the number of bfloat16 that a step of a product takes.
const bf16Block = 32

// dotBF16 adds up as the instructions for bfloat16 do: sixteen lanes that each take a pair of products at a time, the
// second of the pair first.
func dotBF16(row []float32, x []uint16) float32 {
	var lanes [16]float32
	for len(row) >= bf16Block {
		for j := range lanes {
			lanes[j] += float32(row[2*j+1] * quant.BF16ToF32(x[2*j+1]))
			lanes[j] += float32(row[2*j] * quant.BF16ToF32(x[2*j]))
		}
		row, x = row[bf16Block:], x[bf16Block:]
	}
	for i := 1; i < len(row); i += 2 {
		lanes[i/2] += float32(row[i] * quant.BF16ToF32(x[i]))
	}
	for i := 0; i < len(row); i += 2 {
		lanes[i/2] += float32(row[i] * quant.BF16ToF32(x[i]))
	}
	for n := 8; n > 0; n /= 2 {
		for j := range n {
			lanes[j] += lanes[j+n]
		}
	}
	return lanes[0]
}

func mulQ8(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	q, scales, mins := s.unpacked(w.Cols)
	unpack := unpackers[w.Type]
	for r := from; r < to; r++ {
		unpack(q, scales, mins, w.Row(r))
		for c := range columns(x, pick) {
			xq, xs, sums := x.q8(picked(pick, c))
			dst[c*stride+r] = dotQ8(q, scales, mins, xq, xs, sums)
		}
	}
}

// dotQ8 is the product of an unpacked row and a quantized one: per group of 16, an integer dot product times both
// scales, less the minimum times the sum of the activations.
func dotQ8(q []int8, scales, mins []float32, xq []int8, xs []float32, sums []int16) float32 {
	var total float32
	for g, scale := range scales {
		a, b := q[g*groupLen:(g+1)*groupLen], xq[g*groupLen:(g+1)*groupLen]
		var dot int32
		for i, v := range a {
			dot += int32(v) * int32(b[i])
		}
		total += float32(xs[g/2] * (float32(scale*float32(dot)) - float32(mins[g]*float32(sums[g]))))
	}
	return total
}
