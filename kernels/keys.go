package kernels

import "github.com/mneme-lm/mneme/weights/quant"

// KeyGroup is the number of cached keys that are interleaved, so that a vector register takes one dimension of sixteen
// neighbours and nothing has to be added up across its lanes. A group takes the bytes of its keys' rows:
//
//	F32, F16: [dim][KeyGroup] values
//	Q8_0:     [dim/32] of: [KeyGroup] binary16 scales, [32][KeyGroup] signed bytes
//
// Cached values are rows as they are.
const KeyGroup = 16

// PutKey stores a key, given as a row of type t, as number r of the keys.
func PutKey(keys []byte, t quant.Type, dim, r int, row []byte) {
	moveLanes(keyLanes(keys, t, dim, r), oneKey(row), 1, t, dim)
}

// TakeKey is the inverse of PutKey: it makes row the row of key number r.
func TakeKey(row []byte, t quant.Type, dim, r int, keys []byte) {
	moveLanes(oneKey(row), keyLanes(keys, t, dim, r), 1, t, dim)
}

// WholeGroups rounds a number of keys up to whole groups.
func WholeGroups(n int) int { return (n + KeyGroup - 1) / KeyGroup * KeyGroup }

// ValueWidth is the distance between the outputs of AddValues: dim rounded up to a vector, of which a group of keys fills one.
func ValueWidth(dim int) int { return WholeGroups(dim) }

// WidenKeys is the reference of Implementation.WidenKeys.
func WidenKeys(dst []float32, keys []byte, t quant.Type, dim, n int) {
	if n > 0 && dim > 0 {
		widenKeys(dst[:n*dim], keys, t)
	}
}

// widenKeys decodes groups of keys.
func widenKeys(dst []float32, group []byte, t quant.Type) {
	if t != quant.Q8_0 {
		decodeRow(dst, group, t)
		return
	}
	for len(dst) > 0 {
		for i := range 32 {
			for lane := range KeyGroup {
				scale := half(group[2*lane:])
				dst[i*KeyGroup+lane] = scale * float32(int8(group[2*KeyGroup+i*KeyGroup+lane]))
			}
		}
		dst, group = dst[32*KeyGroup:], group[34*KeyGroup:]
	}
}

func scoresGeneric(dst []float32, stride int, q []float32, dim int, keys []byte, t quant.Type, n int, turn *Turn, s *Scratch) {
	if n == 0 || dim == 0 {
		return
	}
	group, size := s.Floats(dim*KeyGroup), len(keys)/n*KeyGroup
	for j := 0; j < n; j += KeyGroup {
		widenKeys(group, keys[j/KeyGroup*size:(j/KeyGroup+1)*size], t)
		if turn != nil {
			turn.rotate(group, turn.First+j)
		}
		for i := 0; i*dim < len(q); i++ {
			out := dst[i*stride+j : i*stride+j+KeyGroup]
			clear(out)
			for d, v := range q[i*dim : (i+1)*dim] {
				axpyFused(v, group[d*KeyGroup:(d+1)*KeyGroup], out)
			}
		}
	}
}

// axpyFused adds alpha·x to y with one rounding, as the instructions do that other implementations use here: float64
// holds the product of two float32 exactly. That it rounds the sum before float32 does shows in one case of 2²⁹.
func axpyFused(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] = float32(float64(alpha)*float64(v) + float64(y[i]))
	}
}

func addValuesGeneric(out, w []float32, stride, dim int, values []byte, t quant.Type, n int, s *Scratch) {
	if n == 0 || dim == 0 {
		return
	}
	row, size, width := s.Floats(dim), len(values)/n, ValueWidth(dim)
	for j := range n {
		decodeRow(row, values[j*size:(j+1)*size], t)
		for i := 0; i*width < len(out); i++ {
			axpyFused(w[i*stride+j], row, out[i*width:i*width+dim])
		}
	}
}

func softmaxGeneric(x []float32, scale, most float32) (newMost, sum float32) {
	for i := range x {
		x[i] *= scale
		most = max(most, x[i])
	}
	for i, v := range x {
		e := exp(v - most)
		x[i] = e
		sum += e
	}
	return most, sum
}
