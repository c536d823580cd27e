//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// tileKernel is how a block type is multiplied with AVX-512: few activation rows by weight rows as they are stored, many
// by tiles of asm.Gemm8. Both add up in the same order.
type tileKernel struct {
	// dot multiplies four rows as they are stored, a multiple of step weights.
	dot  func(*asm.Dot4)
	step int
	// group is the number of weights with a scale of their own, 32 or 16.
	group int
	// mins: groups have minimums, which are multiplied by the scaled sums of activations.
	mins bool
	// scales collects the scales and minimums of a row's groups.
	scales func(scales, mins []float32, row []byte)
}

var tileKernels = map[quant.Type]*tileKernel{
	quant.Q4_0:   {asm.DotQ4_0AVX512, 128, 32, false, rowScales(18)},
	quant.Q4_1:   {asm.DotQ4_1AVX512, 128, 32, true, rowScalesAndOffsets(20)},
	quant.Q5_0:   {asm.DotQ5_0AVX512, 128, 32, false, rowScales(22)},
	quant.Q5_1:   {asm.DotQ5_1AVX512, 128, 32, true, rowScalesAndOffsets(24)},
	quant.Q8_0:   {asm.DotQ8_0AVX512, 128, 32, false, rowScales(34)},
	quant.IQ4_NL: {asm.DotIQ4_NLAVX512, 128, 32, false, rowScales(18)},
	quant.Q2_K: {asm.DotQ2_KAVX512, 256, 16, true, func(scales, mins []float32, row []byte) {
		asm.ScalesQ2_KAVX512(&scales[0], &mins[0], &row[0], len(row)/84)
	}},
	quant.Q3_K: {asm.DotQ3_KAVX512, 256, 16, false, func(scales, _ []float32, row []byte) {
		asm.ScalesQ3_KAVX512(&scales[0], &row[0], len(row)/110)
	}},
	quant.Q4_K: {asm.DotQ4_KAVX512, 256, 32, true, rowScalesK4(144)},
	quant.Q5_K: {asm.DotQ5_KAVX512, 256, 32, true, rowScalesK4(176)},
	quant.Q6_K: {asm.DotQ6_KAVX512, 256, 16, false, func(scales, _ []float32, row []byte) {
		asm.ScalesQ6_KAVX512(&scales[0], &row[0], len(row)/210)
	}},
	quant.IQ4_XS: {asm.DotIQ4_XSAVX512, 256, 32, false, func(scales, _ []float32, row []byte) {
		asm.ScalesIQ4_XSAVX512(&scales[0], &row[0], len(row)/136)
	}},
}

// rowScales is for blocks of 32 that begin with their scale.
func rowScales(size int) func(scales, mins []float32, row []byte) {
	return func(scales, _ []float32, row []byte) {
		asm.HalvesAVX2(&scales[0], &row[0], size, len(row)/size, 0)
	}
}

// rowScalesAndOffsets is for blocks of 32 that begin with their scale and an offset, the negative of a minimum.
func rowScalesAndOffsets(size int) func(scales, mins []float32, row []byte) {
	return func(scales, mins []float32, row []byte) {
		asm.HalvesAVX2(&scales[0], &row[0], size, len(row)/size, 0)
		asm.HalvesAVX2(&mins[0], &row[2], size, len(row)/size, 1<<31)
	}
}

// rowScalesK4 is for Q4_K and Q5_K.
func rowScalesK4(size int) func(scales, mins []float32, row []byte) {
	return func(scales, mins []float32, row []byte) {
		asm.ScalesK4AVX2(&scales[0], &mins[0], &row[0], size, len(row)/size)
	}
}

// column is what of the activations the kernel reads beside the bytes: for every group its scale, −128·Σq, and the scale
// times Σq.
func (k *tileKernel) column(x *Activations) (scales []float32, starts []int32, sums []float32) {
	if k.group == groupLen {
		return x.HalfScales, x.HalfStarts, x.HalfSums
	}
	return x.Scales, x.Starts, x.BlockSums
}

// dotColumn is what of the activations dot kernels read beside the bytes from the given one on: scales, and starts or sums.
func (k *tileKernel) dotColumn(x *Activations, first int) (*float32, unsafe.Pointer) {
	scales, starts, sums := k.column(x)
	at := first / k.group
	if k.mins {
		return &scales[at], unsafe.Pointer(&sums[at])
	}
	return &scales[at], unsafe.Pointer(&starts[at])
}
