package weights

import (
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

func TestDataBytes(t *testing.T) {
	cases := []struct {
		typ   quant.Type
		shape []int
		want  int
	}{
		{quant.F32, nil, 4}, {quant.F32, []int{3, 5}, 60}, {quant.F16, []int{3}, 6}, {quant.BF16, []int{2, 2, 2, 2}, 32},
		{quant.Q8_0, []int{64, 3}, 204}, {quant.Q4_K, []int{512, 2}, 576}, {quant.F32, []int{0}, 0},
		{quant.Q4_0, []int{32, 0, 7}, 0}, {16, []int{256}, 66}, {24, []int{5}, 5}, {28, []int{5}, 40}, {39, []int{64}, 34},
	}
	for _, c := range cases {
		if got, err := dataBytes(c.typ, c.shape); err != nil || got != c.want {
			t.Errorf("%s %v: %d, %v; want %d", c.typ, c.shape, got, err, c.want)
		}
	}
}

// TestBlocksAgree holds the sizes of the types that are only listed against the bits per value that ggml documents.
func TestBlocksAgree(t *testing.T) {
	for typ, b := range undecoded {
		if typ.BlockLen() != 0 {
			t.Errorf("%s is decoded by package quant: its entry here is dead", typ)
		}
		if bits := float64(8*b.bytes) / float64(b.values); b.values <= 0 || bits < 1 || bits > 64 {
			t.Errorf("%s: %g bits per value", typ, bits)
		}
	}
}

func TestDecodeRows(t *testing.T) {
	tensor := &Tensor{Name: "m", Type: quant.F32, Shape: []int{2, 3}, Data: new(raw).f32(1).f32(2).f32(3).f32(4).f32(5).f32(6).b}
	dst := make([]float32, 4)
	if err := tensor.DecodeRows(dst, 1); err != nil || !slices.Equal(dst, []float32{3, 4, 5, 6}) {
		t.Errorf("rows 1 and 2: %v, %v", dst, err)
	}
	all, err := tensor.Float32s()
	if err != nil || !slices.Equal(all, []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("all: %v, %v", all, err)
	}
	if err := tensor.DecodeRows(nil, 99); err != nil {
		t.Errorf("no rows: %v", err)
	}
	scalar := &Tensor{Name: "s", Type: quant.F32, Data: new(raw).f32(7).b}
	if all, err := scalar.Float32s(); err != nil || !slices.Equal(all, []float32{7}) {
		t.Errorf("scalar: %v, %v", all, err)
	}
	empty := &Tensor{Name: "e", Type: quant.F32, Shape: []int{0, 4}}
	if all, err := empty.Float32s(); err != nil || len(all) != 0 {
		t.Errorf("empty: %v, %v", all, err)
	}
}

func TestDecodeRowsErrors(t *testing.T) {
	data := make([]byte, 24)
	cases := []struct {
		name   string
		tensor Tensor
		n      int
		first  int
		want   string
	}{
		{"part of a row", Tensor{Type: quant.F32, Shape: []int{2, 3}, Data: data}, 3, 0, "3 values"},
		{"before the first", Tensor{Type: quant.F32, Shape: []int{2, 3}, Data: data}, 2, -1, "no rows -1"},
		{"past the last", Tensor{Type: quant.F32, Shape: []int{2, 3}, Data: data}, 4, 2, "no rows 2 to 3"},
		{"closed", Tensor{Type: quant.F32, Shape: []int{2, 3}}, 2, 0, "closed"},
		{"type without decoder", Tensor{Type: 16, Shape: []int{256}, Data: make([]byte, 66)}, 256, 0, "IQ2_XXS"},
		{"no rows of zero values", Tensor{Type: quant.F32, Shape: []int{0, 3}}, 3, 0, "3 values"},
		{"negative row", Tensor{Type: quant.F32, Shape: []int{-2, 3}, Data: data}, 2, 0, "rows of -2"},
		{"half a block", Tensor{Type: quant.Q8_0, Shape: []int{16}, Data: data}, 16, 0, "16"},
	}
	for _, c := range cases {
		c.tensor.Name = "the.name"
		err := c.tensor.DecodeRows(make([]float32, c.n), c.first)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"the.name"`) {
			t.Errorf("%s: error %v, want one with %q and the name", c.name, err, c.want)
		}
	}
}

func TestFloat32sErrors(t *testing.T) {
	cases := []struct {
		tensor Tensor
		want   string
	}{
		{Tensor{Type: quant.F32, Shape: []int{2, 3}, Data: make([]byte, 20)}, "24"},
		{Tensor{Type: quant.F32, Shape: []int{1 << 40, 1 << 40}}, "more values"},
		{Tensor{Type: quant.F32, Shape: []int{-1, -1}, Data: make([]byte, 4)}, "negative"},
		{Tensor{Type: 16, Shape: []int{256}, Data: make([]byte, 66)}, "IQ2_XXS"},
		{Tensor{Type: 999, Shape: []int{256}, Data: make([]byte, 66)}, "999"},
	}
	for _, c := range cases {
		c.tensor.Name = "the.name"
		_, err := c.tensor.Float32s()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"the.name"`) {
			t.Errorf("%v: error %v, want one with %q and the name", c.tensor.Shape, err, c.want)
		}
	}
}
