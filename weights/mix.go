package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/weights/quant"
)

// fileTypes holds the numbers that general.file_type has for models of which most matrices are of a type: of a K type
// that of the small mix ("Q4_K_S"), which is the nearest to what Quantize makes.
var fileTypes = map[quant.Type]uint32{
	quant.F32: 0, quant.F16: 1, quant.Q4_0: 2, quant.Q4_1: 3, quant.Q8_0: 7, quant.Q5_0: 8, quant.Q5_1: 9,
	quant.Q2_K: 10, quant.Q3_K: 11, quant.Q4_K: 14, quant.Q5_K: 16, quant.Q6_K: 18, quant.IQ4_NL: 25, quant.IQ4_XS: 30,
	quant.BF16: 32,
}

// quantVersion is the version of ggml's block formats, the value of general.quantization_version.
const quantVersion = 2

// SetFileType records in md that most of a model's matrices are of type t: general.file_type and
// general.quantization_version. It is an error if t is not a type that package quant encodes.
func SetFileType(md *Metadata, t quant.Type) error {
	n, ok := fileTypes[t]
	if !ok || !t.CanEncode() {
		return fmt.Errorf("weights: a model cannot be encoded as %s; possible are %s", t, strings.Join(encodable(), ", "))
	}
	if err := md.Set(keyQuantVersion, uint32(quantVersion)); err != nil {
		return err
	}
	return md.Set(keyFileType, n)
}

func encodable() (names []string) {
	for _, t := range quant.Types() {
		if t.CanEncode() {
			names = append(names, t.String())
		}
	}
	return names
}

// TypeForRow returns the type in which a matrix with rows of rowLen values is encoded where t is asked for. Rows that
// are not a whole number of t's blocks take the next larger type whose blocks fit, as llama.cpp's do: Q4_K becomes Q5_0,
// Q5_K becomes Q5_1, Q6_K becomes Q8_0, the smaller ones IQ4_NL, and what no block of 32 fits becomes F16.
func TypeForRow(t quant.Type, rowLen int) quant.Type {
	if n := t.BlockLen(); n > 0 && rowLen%n == 0 {
		return t
	}
	switch t {
	case quant.Q2_K, quant.Q3_K, quant.IQ4_XS:
		return TypeForRow(quant.IQ4_NL, rowLen)
	case quant.Q4_K:
		return TypeForRow(quant.Q5_0, rowLen)
	case quant.Q5_K:
		return TypeForRow(quant.Q5_1, rowLen)
	case quant.Q6_K:
		return TypeForRow(quant.Q8_0, rowLen)
	}
	return quant.F16
}

// Tensors with one of these in their names keep their type, whatever their shape.
var keptNames = []string{
	"_norm.",       // scales of normalizations
	"ffn_gate_inp", // the router of experts, whose choice small errors flip
	".mem_",        // learned memories, which go on learning from these values
}

// keptValues is the size up to which a tensor keeps its type: nothing is gained there.
const keptValues = 512

// kept reports whether a tensor keeps its type when its model is re-encoded.
func kept(name string, shape []int) bool {
	n, err := elements(shape)
	return err != nil || len(shape) < 2 || n <= keptValues || !strings.HasSuffix(name, ".weight") ||
		slices.ContainsFunc(keptNames, func(part string) bool { return strings.Contains(name, part) })
}

// mix chooses the type of each tensor of a re-encoded model.
type mix struct {
	target quant.Type
	pure   bool
	tied   bool // the token embeddings serve as the output matrix
}

func newMix(src *File, target quant.Type, pure bool) mix {
	_, hasOutput := src.Tensor("output.weight")
	return mix{target: target, pure: pure, tied: !hasOutput}
}

// typeOf returns the type in which tensor t is to be written.
func (m mix) typeOf(t *Tensor) quant.Type {
	if kept(t.Name, t.Shape) {
		return t.Type
	}
	want := m.target
	if !m.pure && (t.Name == "output.weight" || m.tied && t.Name == "token_embd.weight") {
		want = outputType(want)
	}
	return TypeForRow(want, t.RowLen())
}

// outputType returns the type of the matrix that makes the logits: at least six bits per value.
func outputType(target quant.Type) quant.Type {
	switch target {
	case quant.F32, quant.F16, quant.BF16, quant.Q8_0:
		return target
	}
	return quant.Q6_K
}
