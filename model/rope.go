package model

import (
	"fmt"
	"math"
)

// Rope describes the rotary position embedding (Su et al. 2021) and how it was stretched.
type Rope struct {
	Dimensions      int // of a head that are rotated, the first ones
	Halves          bool
	Base            float64
	Scaling         string  // none, linear or yarn
	Factor          float64 // by which the context was stretched; 1 with scaling none
	OriginalContext int     // before stretching
	AttentionFactor float64 // multiplies cosines and sines
	BetaFast        float64 // YaRN: rotations over the original context above which a dimension is not interpolated
	BetaSlow        float64 // YaRN: … below which it is interpolated in full
	ExtFactor       float64 // YaRN: weight of the ramp between the two
}

func (r *reader) rope(c *Config) Rope {
	rope := Rope{
		Dimensions:      r.size("rope.dimension_count", 0, c.KeyDim),
		Base:            r.float("rope.freq_base", 10000),
		Scaling:         r.string("rope.scaling.type", "linear"),
		Factor:          r.float("rope.scaling.factor", 0),
		OriginalContext: r.size("rope.scaling.original_context_length", 1, c.ContextLength),
		AttentionFactor: r.float("rope.scaling.attn_factor", 1),
		BetaFast:        r.float("rope.scaling.yarn_beta_fast", 32),
		BetaSlow:        r.float("rope.scaling.yarn_beta_slow", 1),
	}
	if rope.Factor == 0 {
		rope.Factor = r.float("rope.scale_linear", 1) // the key's older name
	}
	switch rope.Scaling {
	case "none":
		rope.Factor = 1
	case "linear", "longrope":
	case "yarn":
		rope.ExtFactor = r.float("rope.scaling.yarn_ext_factor", 1)
	default:
		r.fail(r.key("rope.scaling.type"), "unknown scaling %q (known: none, linear, yarn, longrope)", rope.Scaling)
	}
	if rope.Factor <= 0 || rope.Base <= 0 {
		r.fail(r.key("rope.scaling.factor"), "factor %v and base %v must be positive", rope.Factor, rope.Base)
	}
	return rope
}

// ropeTable holds what is needed to rotate at any position.
type ropeTable struct {
	step      float32   // base^(−2/d)
	divisors  []float32 // [dimensions/2], what stretching divides the angle of each pair by
	magnitude float64   // of the rotation: cosines and sines are multiplied by it
}

// table works the frequencies out. factors, if not nil, divide them one by one (Llama 3's rope_freqs, Phi-3's long and
// short factors).
//
// θ_i = base^(−2i/d). Linear scaling divides every θ_i by the factor (Chen et al. 2023). YaRN (Peng et al. 2023,
// sections 3.2 to 3.4) leaves dimensions alone that turn more than BetaFast times within the original context,
// divides those that turn less than BetaSlow times, mixes in between, and enlarges the result by 0.1·ln(factor)+1.
func (r Rope) table(factors []float32) (*ropeTable, error) {
	n := r.Dimensions / 2
	if factors != nil && len(factors) != n {
		return nil, fmt.Errorf("model: %d RoPE factors for %d pairs of dimensions", len(factors), n)
	}
	t := &ropeTable{
		step:      float32(math.Pow(r.Base, -2/float64(r.Dimensions))),
		divisors:  make([]float32, n),
		magnitude: r.AttentionFactor,
	}
	if r.ExtFactor != 0 {
		t.magnitude *= 1 + 0.1*math.Log(r.Factor)
	}
	low, high := r.yarnRange()
	for i := range t.divisors {
		ramp := (float64(i) - low) / max(0.001, high-low)
		keep := (1 - min(1, max(0, ramp))) * r.ExtFactor
		divisor := 1 / ((1-keep)/r.Factor + keep)
		if factors != nil {
			if !(factors[i] > 0) {
				return nil, fmt.Errorf("model: RoPE factor %d is %v", i, factors[i])
			}
			divisor *= float64(factors[i])
		}
		t.divisors[i] = float32(divisor)
	}
	return t, nil
}

// yarnRange returns the pair indices between which YaRN's ramp lies.
func (r Rope) yarnRange() (low, high float64) {
	at := func(rotations float64) float64 {
		return float64(r.Dimensions) * math.Log(float64(r.OriginalContext)/(rotations*2*math.Pi)) / (2 * math.Log(r.Base))
	}
	return max(0, math.Floor(at(r.BetaFast))), min(float64(r.Dimensions-1), math.Ceil(at(r.BetaSlow)))
}

// angles fills the cosines and sines for one position.
//
// Each pair's angle is the one before it times base^(−2/d), in float32, as the reference engine has it. It may be off by
// i·2⁻²³ of itself, which is more than what is rounded in float32 elsewhere: with exact angles, activations that are
// rounded to bfloat16 would round to other numbers than the reference's sooner.
func (t *ropeTable) angles(pos int32, cos, sin []float32) {
	theta := float32(pos)
	for i, d := range t.divisors {
		s, c := math.Sincos(float64(theta / d))
		cos[i], sin[i] = float32(c*t.magnitude), float32(s*t.magnitude)
		theta *= t.step
	}
}
