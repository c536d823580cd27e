package attention

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/kernels"
)

// GroupedScratch is memory that one thread reuses from call to call of the grouped softmax over whole texts.
type GroupedScratch struct {
	kernels  *kernels.Scratch
	from, to []float32 // scores of a softmax, and its exponentials
	by       []float32 // of each earlier block, what its exponentials are to be multiplied by, or what its landmark got
	w, d     []float32 // weights of a piece of a text, and gradients with respect to them
}

// NewGroupedScratch makes scratch memory that shares a thread's kernel scratch.
func NewGroupedScratch(k *kernels.Scratch) *GroupedScratch { return &GroupedScratch{kernels: k} }

// GroupedWeights makes w the weights that the queries of a text give its rows by the grouped softmax (Mohtashami and Jaggi
// 2023, equations 1 to 4), from their scores. Both are [rows, rows], and may be the same; scores of rows after the query
// are not looked at.
//
// A query shares its attention out twice: among the ordinary tokens of its own block and the landmarks of earlier blocks, and
// then each landmark's share among the ordinary tokens of that landmark's block. The landmark of its own block it does not
// see, not even if it is that landmark. So a query's weights add up to 1 and those of landmarks are 0.
//
// A block of which a query sees no ordinary token, because there is none or all have a score of −Inf, is left out with its
// landmark; by the equations, what the landmark got would be lost. A query that sees nothing has weights of 0. Where
// scores of +Inf compete, they share equally. A score that is not a number makes its group's weights so.
func GroupedWeights(impl *kernels.Implementation, w, scores []float32, g *Groups, s *GroupedScratch) error {
	n := g.Rows()
	if err := checkSquare("scores", scores, n); err != nil {
		return err
	}
	if err := checkSquare("weights", w, n); err != nil {
		return err
	}
	for i := range n {
		s.weigh(impl, w[i*n:(i+1)*n], scores[i*n:(i+1)*n], i, g)
	}
	return nil
}

// GroupedBackward makes d, which holds the gradient of a loss with respect to the weights that GroupedWeights made, the one
// with respect to the scores. Both are [rows, rows]. The weights are all it needs of the forward pass: what a landmark got
// is the sum of the weights of its block. Gradients with respect to weights that are 0 whatever the scores are not looked at.
func GroupedBackward(impl *kernels.Implementation, d, w []float32, g *Groups, s *GroupedScratch) error {
	n := g.Rows()
	if err := checkSquare("gradients", d, n); err != nil {
		return err
	}
	if err := checkSquare("weights", w, n); err != nil {
		return err
	}
	for i := range n {
		s.backward(impl, d[i*n:(i+1)*n], w[i*n:(i+1)*n], i, g)
	}
	return nil
}

func checkSquare(name string, x []float32, n int) error {
	if len(x) != n*n {
		return fmt.Errorf("attention: %d %s of a text of %d rows, want %d", len(x), name, n, n*n)
	}
	return nil
}

// weigh makes w the weights of query i.
func (s *GroupedScratch) weigh(impl *kernels.Implementation, w, scores []float32, i int, g *Groups) {
	own := g.block[i]
	from, to := g.tokens(own, i)
	tokens := to - from
	x, y := kernels.Grow(&s.from, own+tokens), kernels.Grow(&s.to, kernels.WholeGroups(max(own+tokens, g.longest)))
	copy(x, scores[from:to])
	gates, by := x[tokens:], kernels.Grow(&s.by, own)
	for b := range by {
		first, end := g.tokens(b, i)
		n := kernels.WholeGroups(end - first)
		by[b] = softmax(impl, y[:n], scores[first:end], 1)
		gates[b] = scores[end]
		if by[b] == 0 {
			gates[b] = hidden
		}
		copy(w[first:end], y)
		w[end] = 0
	}
	share := softmax(impl, y[:kernels.WholeGroups(len(x))], x, 1)
	for b, v := range y[tokens:][:own] {
		first, end := g.tokens(b, i)
		multiply(w[first:end], by[b]*(v*share))
	}
	copy(w[from:to], y)
	multiply(w[from:to], share)
	clear(w[to:])
}

// backward makes d, the gradient with respect to the weights w of query i, the one with respect to its scores.
//
// A softmax p whose results have the gradient e passes on p∘(e − Σ p·e). In the outer one, p·e of a landmark is the sum of
// w·d over its block, so that Σ p·e is the sum of w·d over everything. In the inner one of a block, where p is w
// divided by what the landmark got and e is d multiplied by it, that factor cancels, except in the mean of d.
func (s *GroupedScratch) backward(impl *kernels.Implementation, d, w []float32, i int, g *Groups) {
	own := g.block[i]
	from, to := g.tokens(own, i)
	all := impl.Dot(w[from:to], d[from:to])
	gates := kernels.Grow(&s.by, own)
	for b := range gates {
		first, end := g.tokens(b, i)
		gates[b] = total(w[first:end])
		inner, mean := impl.Dot(w[first:end], d[first:end]), float32(0)
		if gates[b] != 0 {
			mean = inner / gates[b]
		}
		toScores(d[first:end], w[first:end], mean)
		d[end] = inner
		all += inner
	}
	for b, gate := range gates {
		d[g.ends[b]-1] -= float32(gate * all)
	}
	toScores(d[from:to], w[from:to], all)
	clear(d[to:])
}

// toScores makes d the gradient with respect to the scores of a group with weights w.
func toScores(d, w []float32, mean float32) {
	for j, v := range w {
		d[j] = v * (d[j] - mean)
	}
}

// softmax makes x, which has room for whole groups, the exponentials of scores, and returns what these have to be multiplied by
// to add up to 1: 0 if all scores are −Inf. Scores of +Inf have 1, and all others 0 beside them.
func softmax(impl *kernels.Implementation, x, scores []float32, scale float32) (by float32) {
	if len(scores) == 0 {
		return 0
	}
	fill(x[copy(x, scores):], hidden)
	switch _, sum := impl.Softmax(x, scale, -math.MaxFloat32); {
	case sum == 0:
		return 0
	case sum == sum:
		return 1 / sum
	}
	return infinite(x, scores, scale) // +Inf from itself is no number
}

// infinite is softmax where some of the scores are +Inf, or not numbers.
func infinite(x, scores []float32, scale float32) (by float32) {
	most, sum := hidden, float32(0)
	for _, v := range scores {
		if v *= scale; v > most {
			most = v
		}
	}
	for j, v := range scores {
		switch v *= scale; {
		case most <= math.MaxFloat32:
			v = exp(v - most)
		case v <= math.MaxFloat32:
			v = 0
		case v == v:
			v = 1
		}
		x[j] = v
		sum += v
	}
	return 1 / sum
}

func total(x []float32) (sum float32) {
	for _, v := range x {
		sum += v
	}
	return sum
}

func multiply(x []float32, by float32) {
	for j := range x {
		x[j] *= by
	}
}
