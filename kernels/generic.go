package kernels

import (
	"math"

	"github.com/mneme-lm/mneme/weights/quant"
)

// generic is the reference: plain Go, the same on every machine. Products are rounded before they are added,
// float32(a*b) + c: the conversion keeps the compiler from fusing the two where the processor could.
var generic = Implementation{
	Name:       "generic",
	Dot:        dotGeneric,
	Axpy:       axpyGeneric,
	Scale:      scaleGeneric,
	RMSNorm:    rmsNormGeneric,
	Softmax:    softmaxGeneric,
	Softcap:    softcapGeneric,
	SwiGLU:     swiGLUGeneric,
	GeGLU:      geGLUGeneric,
	RopeHalves: ropeHalvesGeneric,
	RopePairs:  ropePairsGeneric,
	Convert:    convertGeneric,
	Scores:     scoresGeneric,
	WidenKeys:  WidenKeys,
	AddValues:  addValuesGeneric,
	Gemm:       gemmGeneric,
	Mul:        genericMul(),
	Fetch:      func([]byte) {},
	Limits:     limitsGeneric,
}

func dotGeneric(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float32(a[i] * b[i])
		s1 += float32(a[i+1] * b[i+1])
		s2 += float32(a[i+2] * b[i+2])
		s3 += float32(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float32(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

func axpyGeneric(alpha float32, x, y []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += float32(alpha * v)
	}
}

func rmsNormGeneric(dst, x, w []float32, eps float32) {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	scale := float32(1 / math.Sqrt(sum/float64(len(x))+float64(eps)))
	for i, v := range x {
		dst[i] = w[i] * (v * scale)
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func scaleGeneric(dst, x, w []float32, by float32) {
	for i, v := range x {
		dst[i] = w[i] * float32(v*by)
	}
}

func softcapGeneric(x []float32, limit float32) {
	for i, v := range x {
		x[i] = limit * float32(math.Tanh(float64(v/limit)))
	}
}

func swiGLUGeneric(dst, gate, up []float32) {
	for i, g := range gate {
		dst[i] = g / (1 + exp(-g)) * up[i]
	}
}

// geGLUGeneric computes GELU as ½x(1 + tanh(√(2/π)(x + 0.044715x³))) (Hendrycks and Gimpel 2016, section 2).
func geGLUGeneric(dst, gate, up []float32) {
	const sqrt2OverPi = 0.79788456080286535588
	for i, g := range gate {
		x := float64(g)
		dst[i] = float32(0.5*x*(1+math.Tanh(sqrt2OverPi*(x+float64(0.044715*x*x*x))))) * up[i]
	}
}

func ropeHalvesGeneric(x, cos, sin []float32) {
	n := len(cos)
	a, b := x[:n], x[n:2*n]
	for i, c := range cos {
		s := sin[i]
		a[i], b[i] = float32(a[i]*c)-float32(b[i]*s), float32(a[i]*s)+float32(b[i]*c)
	}
}

func ropePairsGeneric(x, cos, sin []float32) {
	for i, c := range cos {
		s := sin[i]
		a, b := x[2*i], x[2*i+1]
		x[2*i], x[2*i+1] = float32(a*c)-float32(b*s), float32(a*s)+float32(b*c)
	}
}

// decodeRow decodes a row whose type and size were checked when it was made.
func decodeRow(dst []float32, row []byte, t quant.Type) {
	if err := quant.Decode(t, dst, row); err != nil {
		panic("kernels: " + err.Error())
	}
}
