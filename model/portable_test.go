package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

const (
	// portableMargin is the least lead of a chosen token's logit over the next best. That architectures differ in the last
	// bit of exponentials, and implementations of the kernels in the order of their sums, moves logits by less.
	portableMargin = 0.015
	// portableScore is how far the mean of the chosen tokens' logits may be off, and portableScoreQ8 the same where
	// activations are rounded to 8 bits: a value next to a tie may round the other way.
	portableScore   = 1e-4
	portableScoreQ8 = 0.01
)

// portable lists what random models write after text(12, seed), by greedy search, on every platform.
var portable = []struct {
	shape  string
	typ    quant.Type
	seed   int
	tokens []int32
	score  float64 // mean logit of the chosen tokens
}{
	{"llama-tiny", quant.F32, 1, []int32{352, 47, 355, 326, 63, 355, 206, 319, 133, 206, 352, 133, 199, 271, 190, 47}, 3.249752},
	{"llama-tiny", quant.F16, 1, []int32{352, 47, 355, 326, 63, 355, 206, 319, 133, 206, 352, 133, 199, 271, 190, 47}, 3.249808},
	{"llama-tiny", quant.BF16, 1, []int32{352, 47, 355, 326, 63, 355, 206, 319, 133, 206, 352, 133, 199, 271, 190, 47}, 3.247754},
	{"llama-tiny", quant.Q8_0, 1, []int32{352, 47, 355, 326, 63, 355, 206, 319, 133, 206, 352, 133, 199, 271, 190, 47}, 3.235064},
	{"moe-tiny", quant.F32, 3, []int32{12, 260, 386, 150, 177, 264, 420, 85, 420, 390, 189, 420, 390, 125, 189, 420}, 3.100493},
	{"moe-tiny", quant.Q8_0, 35, []int32{404, 293, 454, 247, 504, 381, 404, 142, 142, 142, 142, 142, 142, 381, 140, 131}, 3.103518},
	{"qwen2-tiny", quant.F32, 39, []int32{31, 462, 142, 301, 239, 129, 501, 70, 495, 383, 271, 345, 488, 69, 345, 495}, 3.002006},
	{"qwen2-tiny", quant.Q8_0, 39, []int32{31, 462, 142, 301, 239, 129, 501, 70, 495, 383, 271, 345, 488, 69, 345, 495}, 3.006133},
	{"qwen3-tiny", quant.F32, 35, []int32{294, 451, 441, 435, 441, 435, 441, 435, 461, 232, 123, 178, 294, 441, 435, 39}, 3.236326},
	{"qwen3-tiny", quant.Q8_0, 35, []int32{294, 451, 441, 435, 441, 435, 441, 435, 461, 232, 123, 178, 294, 441, 435, 39}, 3.241046},
	{"gemma2-tiny", quant.F32, 15, []int32{482, 482, 329, 329, 329, 329, 329, 329, 329, 329, 312, 312, 312, 312, 312, 312}, 3.683801},
	{"gemma2-tiny", quant.Q8_0, 15, []int32{482, 482, 329, 329, 329, 329, 329, 329, 329, 329, 312, 312, 312, 312, 312, 312}, 3.694723},
	{"phi3-tiny", quant.F32, 37, []int32{138, 448, 362, 116, 39, 48, 355, 225, 218, 504, 218, 504, 75, 362, 407, 218}, 3.188757},
	{"phi3-tiny", quant.Q8_0, 35, []int32{172, 503, 7, 205, 22, 372, 135, 355, 135, 447, 286, 286, 22, 135, 328, 135}, 2.788913},
	{"mneme-tiny", quant.F32, 8, []int32{44, 34, 399, 287, 211, 469, 205, 205, 205, 469, 83, 210, 469, 205, 205, 205}, 2.914397},
	{"mneme-tiny", quant.Q8_0, 8, []int32{44, 34, 399, 287, 211, 469, 205, 205, 205, 469, 83, 210, 469, 205, 205, 205}, 2.914723},
	{"mneme-fifo-tiny", quant.F32, 11, []int32{276, 3, 389, 262, 365, 28, 425, 52, 425, 357, 441, 301, 421, 206, 302, 89}, 3.080921},
	{"mneme-fifo-tiny", quant.Q8_0, 11, []int32{276, 3, 389, 262, 365, 28, 425, 52, 425, 357, 441, 301, 421, 206, 302, 89}, 3.076883},
}

func TestGreedyIsTheSameOnEveryPlatform(t *testing.T) {
	for _, c := range portable {
		m := synthModel(t, c.shape, c.typ)
		for _, impl := range kernels.Implementations() {
			t.Run(fmt.Sprint(c.shape, "/", c.typ, "/", impl.Name), func(t *testing.T) {
				r := NewRunner(m, impl, 1)
				defer r.Close()
				tokens, score, margin := search(t, r, text(12, c.seed), len(c.tokens))
				t.Logf("score %.6f, least margin %.4f", score, margin)
				if !slices.Equal(tokens, c.tokens) {
					t.Errorf("greedy tokens\n%v, want\n%v", tokens, c.tokens)
				}
				if !(margin >= portableMargin) {
					t.Errorf("a token won by %.4f, which says little: choose another seed", margin)
				}
				bound := portableScore
				if m.forms != 0 {
					bound = portableScoreQ8
				}
				if !(math.Abs(score-c.score) <= bound) {
					t.Errorf("mean logit %.6f, want %.6f within %g", score, c.score, bound)
				}
			})
		}
	}
}

// search writes n tokens after a prompt by greedy search. score is the mean logit of the chosen tokens, margin the
// least lead over the second best.
func search(t *testing.T, r *Runner, prompt []int32, n int) (tokens []int32, score, margin float64) {
	t.Helper()
	seq := newSequence(t, r.model, quant.F32)
	logits := forward(t, r, seq, prompt, 0)[len(prompt)-1]
	margin = math.Inf(1)
	for pos := len(prompt); ; pos++ {
		best, second := bestTwo(logits)
		tokens = append(tokens, best)
		score += float64(logits[best]) / float64(n)
		margin = min(margin, float64(logits[best]-logits[second]))
		if len(tokens) == n {
			return tokens, score, margin
		}
		logits = forward(t, r, seq, []int32{best}, pos)[0]
	}
}

// bestTwo returns the ids of the two largest logits.
func bestTwo(logits []float32) (best, second int32) {
	second = -1
	for i, v := range logits[1:] {
		id := int32(i + 1)
		switch {
		case v > logits[best]:
			best, second = id, best
		case second < 0 || v > logits[second]:
			second = id
		}
	}
	return best, second
}
