package train

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/model"
)

// ropeFactors are what frequencies are divided by, nil where a file has none: one list, or one up to the original context and one
// beyond.
type ropeFactors struct{ all, short, long []float32 }

// of returns those for texts of so many rows.
func (f ropeFactors) of(r *model.Rope, length int) []float32 {
	switch {
	case f.long != nil && length > r.OriginalContext:
		return f.long
	case f.short != nil:
		return f.short
	}
	return f.all
}

// rotation works out the angles of a text's positions as package model does: the frequencies base^(−2i/d), stretched by linear
// scaling or YaRN, and divided by factors.
func (b *Backbone) rotation(length int) (t Rotation, err error) {
	r := &b.config.Rope
	divisors, magnitude := ropeDivisors(r), r.AttentionFactor
	if r.ExtFactor != 0 {
		magnitude *= 1 + 0.1*math.Log(r.Factor)
	}
	if factors := b.factors.of(r, length); factors != nil {
		if len(factors) != len(divisors) {
			return t, fmt.Errorf("train: %d RoPE factors for %d pairs of dimensions", len(factors), len(divisors))
		}
		for i, f := range factors {
			divisors[i] *= float64(f)
		}
	}
	step := float32(math.Pow(r.Base, -2/float64(r.Dimensions)))
	for position := range length {
		theta := float32(position)
		for _, d := range divisors {
			sin, cos := math.Sincos(float64(theta / float32(d)))
			t.Cos, t.Sin = append(t.Cos, float32(cos*magnitude)), append(t.Sin, float32(sin*magnitude))
			theta *= step
		}
	}
	return t, nil
}

// ropeDivisors are what stretching divides the angle of each pair by (Peng et al. 2023, sections 3.2 to 3.4).
func ropeDivisors(r *model.Rope) []float64 {
	turns := func(n float64) float64 { // the pair that turns so many times within the original context
		return float64(r.Dimensions) * math.Log(float64(r.OriginalContext)/(n*2*math.Pi)) / (2 * math.Log(r.Base))
	}
	low, high := max(0, math.Floor(turns(r.BetaFast))), min(float64(r.Dimensions-1), math.Ceil(turns(r.BetaSlow)))
	divisors := make([]float64, r.Dimensions/2)
	for i := range divisors {
		ramp := min(1, max(0, (float64(i)-low)/max(0.001, high-low)))
		keep := (1 - ramp) * r.ExtFactor
		divisors[i] = 1 / ((1-keep)/r.Factor + keep)
	}
	return divisors
}
