package kernels

import (
	"fmt"
	"os"
	"strings"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Implementation is one complete set of the operations: the Go reference, or one that uses a processor's vector
// instructions. Each field says what it does in terms of its operands; all implementations agree within the
// tolerances that the tests name.
type Implementation struct {
	// Name is what MNEME_CPU and [Choose] know it by.
	Name string

	// Dot returns Σ a[i]·b[i]. len(b) ≥ len(a).
	Dot func(a, b []float32) float32
	// Axpy adds alpha·x to y. len(y) ≥ len(x).
	Axpy func(alpha float32, x, y []float32)
	// Scale sets dst[i] = w[i]·(x[i]·by), rounded after each product. dst may be x or w; len(dst) and len(w) ≥ len(x).
	Scale func(dst, x, w []float32, by float32)
	// RMSNorm sets dst[i] = w[i]·x[i]/√(mean(x²)+eps). dst may be x.
	RMSNorm func(dst, x, w []float32, eps float32)
	// Softmax replaces x[i] by exp(scale·x[i]−m), where m is the larger of most and the largest scale·x[i], and returns
	// m and the sum. m must not be −Inf; len(x) is a multiple of KeyGroup.
	Softmax func(x []float32, scale, most float32) (m, sum float32)
	// Softcap replaces x[i] by limit·tanh(x[i]/limit).
	Softcap func(x []float32, limit float32)
	// SwiGLU sets dst[i] = SiLU(gate[i])·up[i]. dst may be gate.
	SwiGLU func(dst, gate, up []float32)
	// GeGLU sets dst[i] = GELU(gate[i])·up[i] with the tanh form of GELU. dst may be gate.
	GeGLU func(dst, gate, up []float32)
	// RopeHalves rotates the pairs (x[i], x[i+n]) for i < n = len(cos) by the angles whose cosines and sines are given
	// (the NeoX order of pairs).
	RopeHalves func(x, cos, sin []float32)
	// RopePairs rotates the pairs (x[2i], x[2i+1]) (the order of the original llama weights).
	RopePairs func(x, cos, sin []float32)
	// Convert makes, of values [from, to) of row r's float form, the other forms that x has room for. from and to are
	// multiples of Q8Block, or the row's end.
	Convert func(x *Activations, r, from, to int)
	// Scores sets dst[i·stride+j] = q_i·key_j, for each of the len(q)/dim queries and each of the n keys, in groups as
	// [KeyGroup] says, of which n is a multiple. With a turn, which passes [Turn.Check], keys are rotated first, with the
	// result that keys of type F32 have that were rotated by RopeHalves or RopePairs before they were stored.
	Scores func(dst []float32, stride int, q []float32, dim int, keys []byte, t quant.Type, n int, turn *Turn, s *Scratch)
	// WidenKeys decodes n keys, in groups as [KeyGroup] says, of which n is a multiple: dst is [n/KeyGroup][dim][KeyGroup].
	WidenKeys func(dst []float32, keys []byte, t quant.Type, dim, n int)
	// AddValues adds Σ_j w[i·stride+j]·value_j to out_i, for each of the outputs, which are ValueWidth(dim) values apart,
	// and each of the n stored rows. What is beyond the first dim values of an output is undefined.
	AddValues func(out, w []float32, stride, dim int, values []byte, t quant.Type, n int, s *Scratch)
	// Gemm computes a product of float32 matrices, which passes [Gemm.Check].
	Gemm func(g *Gemm, s *Scratch)
	// Mul holds the matrix product of each weight type.
	Mul map[quant.Type]MulFunc
	// Packings holds, for the types that have one, another layout of the weights and its product.
	Packings map[quant.Type]*Packing
	// Fetch asks for data that will be read soon, without waiting for it.
	Fetch func(data []byte)
	// Limits finds out what the processor can do with these instructions.
	Limits Limits
}

// MulFunc multiplies the weight rows [from, to) by activation rows: dst[c·stride+r] = w_r·x_c, with c counting the
// rows named by pick (all rows of x if pick is nil).
type MulFunc func(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch)

// Product returns the function that multiplies w.
func (impl *Implementation) Product(w *Matrix) MulFunc {
	if w.Packing != nil {
		return w.Packing.Mul
	}
	return impl.Mul[w.Type]
}

// implementations, slowest first. The reference is always there.
var implementations = append([]*Implementation{&generic}, detect()...)

// Implementations returns those that this machine can run, slowest first; the first is the Go reference.
func Implementations() []*Implementation { return implementations }

// Choose returns the implementation with the given name; an empty name asks for the environment variable MNEME_CPU,
// and if that is empty too, for the fastest.
func Choose(name string) (*Implementation, error) {
	if name == "" {
		name = os.Getenv("MNEME_CPU")
	}
	if name == "" {
		return implementations[len(implementations)-1], nil
	}
	var known []string
	for _, impl := range implementations {
		if impl.Name == name {
			return impl, nil
		}
		known = append(known, impl.Name)
	}
	return nil, fmt.Errorf("kernels: no implementation %q on this machine (there is: %s)", name, strings.Join(known, ", "))
}
