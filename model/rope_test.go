package model

import (
	"errors"
	"math"
	"testing"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

func table(t *testing.T, r Rope, factors []float32) *ropeTable {
	t.Helper()
	got, err := r.table(factors)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// frequency is the angle of pair i at position 1.
func (t *ropeTable) frequency(i int) float64 {
	return math.Pow(float64(t.step), float64(i)) / float64(t.divisors[i])
}

var plainRope = Rope{Dimensions: 128, Base: 10000, Factor: 1, OriginalContext: 4096, AttentionFactor: 1, BetaFast: 32, BetaSlow: 1}

func TestRopeAngles(t *testing.T) {
	got := table(t, plainRope, nil)
	if len(got.divisors) != 64 || got.magnitude != 1 {
		t.Fatalf("%d pairs, magnitude %v", len(got.divisors), got.magnitude)
	}
	cos, sin := make([]float32, 64), make([]float32, 64)
	for _, pos := range []int32{0, 1, 3, 100, 4095, 131071} {
		got.angles(pos, cos, sin)
		for i := range cos {
			theta := float64(pos) * math.Pow(10000, -float64(i)/64)
			s, c := math.Sincos(theta)
			// The step is off by half a unit in the last place, and so is each of the products.
			tolerance := 1e-7 + theta*float64(i)*0x1p-23
			if math.Abs(float64(cos[i])-c) > tolerance || math.Abs(float64(sin[i])-s) > tolerance {
				t.Fatalf("pair %d at position %d: %v and %v, want %v and %v within %.2g", i, pos, cos[i], sin[i], c, s, tolerance)
			}
		}
	}
	got.angles(0, cos, sin)
	for i := range cos {
		if cos[i] != 1 || sin[i] != 0 {
			t.Fatal("position 0 is rotated")
		}
	}
}

func TestLinearScaling(t *testing.T) {
	stretched := plainRope
	stretched.Factor = 4
	plain, got := table(t, plainRope, nil), table(t, stretched, nil)
	for i := range got.divisors {
		if f := got.frequency(i); f != plain.frequency(i)/4 {
			t.Fatalf("frequency %d is %v, want a quarter of %v", i, f, plain.frequency(i))
		}
	}
}

// TestYarn checks the three ranges of YaRN (section 3.2) by how often a dimension turns within the original context.
func TestYarn(t *testing.T) {
	yarn := plainRope
	yarn.Factor, yarn.ExtFactor = 16, 1
	plain, got := table(t, plainRope, nil), table(t, yarn, nil)
	if want := 0.1*math.Log(16) + 1; math.Abs(got.magnitude-want) > 1e-12 {
		t.Fatalf("magnitude %v, want %v", got.magnitude, want)
	}
	kept, interpolated, mixed := 0, 0, 0
	last := math.Inf(1)
	for i := range got.divisors {
		f := got.frequency(i)
		turns := float64(yarn.OriginalContext) * plain.frequency(i) / (2 * math.Pi)
		switch ratio := f / plain.frequency(i); {
		case turns > 1.2*yarn.BetaFast:
			kept++
			if math.Abs(ratio-1) > 1e-12 {
				t.Fatalf("dimension %d turns %.0f times and was divided by %v", i, turns, 1/ratio)
			}
		case turns < yarn.BetaSlow/1.2:
			interpolated++
			if math.Abs(ratio-1.0/16) > 1e-8 {
				t.Fatalf("dimension %d turns %.2f times and was divided by %v", i, turns, 1/ratio)
			}
		default:
			mixed++
			if ratio > 1 || ratio < 1.0/16-1e-8 {
				t.Fatalf("dimension %d was divided by %v", i, 1/ratio)
			}
		}
		if f >= last {
			t.Fatalf("frequency %d is not below the one before", i)
		}
		last = f
	}
	if kept < 5 || interpolated < 5 || mixed < 5 {
		t.Fatalf("%d kept, %d mixed, %d interpolated", kept, mixed, interpolated)
	}
}

func TestFactorsDivide(t *testing.T) {
	factors := make([]float32, 64)
	for i := range factors {
		factors[i] = 1 + float32(i)
	}
	plain, got := table(t, plainRope, nil), table(t, plainRope, factors)
	for i, d := range got.divisors {
		if d != factors[i] || got.step != plain.step {
			t.Fatalf("angle %d is divided by %v, want %v", i, d, factors[i])
		}
	}
	if _, err := plainRope.table(factors[1:]); err == nil {
		t.Fatal("63 factors for 64 pairs were taken")
	}
}

// TestLongFactors: a Phi-3 model with two sets of factors uses the one that the announced length asks for, and does
// not go beyond it.
func TestLongFactors(t *testing.T) {
	short, long := make([]float32, 8), make([]float32, 8)
	for i := range short {
		short[i], long[i] = 1, 2+float32(i)
	}
	f := edited(t, synthFile(t, "phi3-tiny", quant.F32), edit{
		set: map[string]any{"phi3.rope.scaling.original_context_length": uint32(16), "phi3.rope.scaling.attn_factor": float32(1.5)},
		add: []weights.Tensor{floats("rope_factors_short.weight", short...), floats("rope_factors_long.weight", long...)},
	})
	m, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	if m.rope.magnitude != 1.5 || m.rope.divisors[1] != 1 || m.longRope.divisors[1] != 3 {
		t.Fatalf("magnitude %v, divisors %v and %v", m.rope.magnitude, m.rope.divisors[1], m.longRope.divisors[1])
	}
	r := newRunner(t, m, 1)
	seq := newSequence(t, m, quant.F32)
	forward(t, r, seq, text(16, 1), 0)
	if err := r.Forward([]Row{{3, 16, seq, true}}, nil, nil); !errors.Is(err, ErrContext) {
		t.Fatalf("beyond the original context: %v", err)
	}
	far, err := m.NewSequence(SequenceOptions{Rows: quant.F32, Context: 17})
	if err != nil {
		t.Fatal(err)
	}
	forward(t, r, far, text(40, 1), 0)
}
