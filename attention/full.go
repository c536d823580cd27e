// Package attention computes what a query sees in a cache: softmax-weighted sums of values, by the online softmax, in
// which partial results over parts of the cache merge exactly.
package attention

import (
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Params is what an attention layer asks of every query.
type Params struct {
	// Scale multiplies the inner products, before Softcap.
	Scale float32
	// Softcap, if not 0, bounds the scores: c·tanh(score/c) (Gemma 2, section 2).
	Softcap float32
	// Window, if not 0, is the number of positions that a query sees, its own included.
	Window int32
}

// Scratch is memory that one thread reuses from call to call.
type Scratch struct {
	kernels *kernels.Scratch
	scores  []float32
	state   []float32
}

// NewScratch makes scratch memory that shares a thread's kernel scratch.
func NewScratch(k *kernels.Scratch) *Scratch { return &Scratch{kernels: k} }

func (s *Scratch) room(p *[]float32, n int) []float32 {
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	return (*p)[:n]
}

// Full attends from the query heads that share a KV head, at position pos, to all rows of the view that they may see:
// those at positions up to pos, and within the window. A query that sees nothing gets zeros.
//
// q: [heads, keyDim]; out: [heads, valueDim].
//
// The softmax runs over one page after the other with a running maximum m and sum l per head: when a page raises the
// maximum by δ, what has been summed is scaled by exp(−δ) (Milakov and Gimelshein 2018; Rabe and Staats 2021).
func Full(impl *kernels.Implementation, out, q []float32, view *kvcache.View, pos int32, p *Params, s *Scratch) {
	heads := len(q) / view.KeyDim
	clear(out)
	state := s.room(&s.state, 2*heads)
	most, sum := state[:heads], state[heads:]
	for h := range heads {
		most[h], sum[h] = float32(math.Inf(-1)), 0
	}
	for i := range view.Spans {
		from, to := visible(&view.Spans[i], pos, p.Window)
		if from < to {
			addSpan(impl, out, q, view, &view.Spans[i], from, to, p, most, sum, s)
		}
	}
	for h := range heads {
		if sum[h] > 0 {
			scale(out[h*view.ValueDim:(h+1)*view.ValueDim], 1/sum[h])
		}
	}
}

// visible returns the rows [from, to) of a span that a query at pos may see.
func visible(span *kvcache.Span, pos, window int32) (from, to int) {
	to = span.Until(pos)
	if window > 0 {
		from = span.Until(pos - window)
	}
	return from, to
}

// addSpan adds the rows [from, to) of a span to the running softmax of every head.
func addSpan(impl *kernels.Implementation, out, q []float32, view *kvcache.View, span *kvcache.Span, from, to int,
	p *Params, most, sum []float32, s *Scratch) {
	n, total := to-from, span.Rows()
	keySize, valueSize := len(span.Keys)/total, len(span.Values)/total
	scores := s.room(&s.scores, len(most)*n)
	impl.DotRows(scores, q, view.KeyDim, span.Keys[from*keySize:to*keySize], view.Type, n, s.kernels)
	for h := range most {
		row := scores[h*n : (h+1)*n]
		scale(row, p.Scale)
		if p.Softcap > 0 {
			impl.Softcap(row, p.Softcap)
		}
		high := most[h]
		for _, v := range row {
			high = max(high, v)
		}
		if high > most[h] {
			shrink := float32(math.Exp(float64(most[h] - high)))
			scale(out[h*view.ValueDim:(h+1)*view.ValueDim], shrink)
			sum[h] *= shrink
			most[h] = high
		}
		sum[h] += impl.ExpSum(row, high)
	}
	impl.AddRows(out, scores, view.ValueDim, span.Values[from*valueSize:to*valueSize], view.Type, n, s.kernels)
}

func scale(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}
