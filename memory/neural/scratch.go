package neural

import (
	"slices"

	"github.com/mneme-lm/mneme/kernels"
)

// Scratch is memory that one thread reuses from call to call.
type Scratch struct {
	impl    *kernels.Implementation
	kernels *kernels.Scratch
	product kernels.Gemm // here, since what is handed to an implementation would else be allocated anew

	layers  [][]float32 // what layers make of keys and queries, before their activation
	inner   [][]float32 // and after it
	both    []float32   // keys and queries
	lengths [][]float32 // by what they are multiplied, of each token, to have length 1
	scaled  []float32
	first   []float32
	similar []float32
	sigmas  []float32 // sigmoids
	tapped  []float32 // a row times a tap
	ones    []float32
	parts   [parts][]float32 // queries, keys and values of a head
	raw     []float32        // before their convolution
	read    []float32
	gates   []gate
	mixes   []mix
	factors []float32 // of mixes
}

// NewScratch makes a scratch for an implementation of the kernels and a thread's own memory for them.
func NewScratch(impl *kernels.Implementation, own *kernels.Scratch) *Scratch {
	return &Scratch{impl: impl, kernels: own}
}

func (s *Scratch) gemm(g kernels.Gemm) {
	s.product = g
	s.impl.Gemm(&s.product, s.kernels)
}

// apply sets y = x·w for n rows of x and w as a state has it, [in, out].
func (s *Scratch) apply(y, x, w []float32, n, in, out int) {
	s.gemm(kernels.Gemm{M: n, N: out, K: in, Alpha: 1, A: x, LDA: in, B: w, LDB: out, C: y, LDC: out})
}

func (s *Scratch) silu(dst, x []float32) { s.impl.SwiGLU(dst, x, s.one(len(x))) }

// times sets dst = by·x.
func (s *Scratch) times(dst, x []float32, by float32) { s.impl.Scale(dst, x, s.one(len(x)), by) }

// one returns n ones.
func (s *Scratch) one(n int) []float32 {
	if len(s.ones) < n {
		s.ones = slices.Repeat([]float32{1}, n)
	}
	return s.ones[:n]
}

// sigmoids returns 1/(1 + exp(−x)) = ½ + ½·tanh(x/2), until the next call, with no more than six digits after the point.
func (s *Scratch) sigmoids(x []float32) []float32 {
	kernels.Grow(&s.sigmas, len(x))
	copy(s.sigmas, x)
	s.impl.Softcap(s.sigmas, 2)
	for i, v := range s.sigmas {
		s.sigmas[i] = .5 + .25*v
	}
	return s.sigmas
}

// siluSlopes returns the derivatives of SiLU, until the next call of sigmoids: σ·(1 + a·(1 − σ)).
func (s *Scratch) siluSlopes(a []float32) []float32 {
	slopes := s.sigmoids(a)
	for i, v := range slopes {
		slopes[i] = v * (1 + float32(a[i]*(1-v)))
	}
	return slopes
}

// unit brings rows, of which there are as many as scales, to length 1.
func (s *Scratch) unit(x, scales []float32) {
	width := len(x) / len(scales)
	for i := range scales {
		scales[i] = normalize(s, x[i*width:(i+1)*width])
	}
}

// sums, hidden and scales return n values for layer i.
func (s *Scratch) sums(i, n int) []float32   { return nth(&s.layers, i, n) }
func (s *Scratch) hidden(i, n int) []float32 { return nth(&s.inner, i, n) }
func (s *Scratch) scales(i, n int) []float32 { return nth(&s.lengths, i, n) }

func nth(list *[][]float32, i, n int) []float32 {
	for len(*list) <= i {
		*list = append(*list, nil)
	}
	kernels.Grow(&(*list)[i], n)
	return (*list)[i]
}

// ScratchValues bounds the number of values that a Scratch holds when so many rows are read at once.
func (c *Config) ScratchValues(rows int) int {
	n := min(rows, c.Chunk)
	through := n // M
	if !c.ReadAfter {
		through = 2 * n // keys and queries
	}
	layers := 0
	for i := range c.Depth {
		layers += c.Width(i)
	}
	widest := c.Width(0)
	values := through*(2*layers+widest) + c.Chunk*widest + n*(4*c.Dim+3) // layers with their input, ones; scaled; parts, read and gates
	if c.Depth > 1 {
		values += n * widest // sigmas
	} else {
		values += c.Dim
	}
	if c.UnitHidden {
		values += through * (c.Depth - 1)
	}
	if c.Convolution > 0 {
		values += (c.Convolution + n) * c.Dim
	}
	if c.ReadAfter {
		values += n*(mixValues+c.Chunk) + c.Chunk
		if c.DecayToInitial {
			values += n * widest
		}
	}
	return values
}
