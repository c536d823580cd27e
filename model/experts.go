package model

import (
	"math"
	"slices"

	"github.com/mneme-lm/mneme/kernels"
)

// routing says which experts see which rows of the batch. A path is one (row, expert) pair; paths are numbered expert by
// expert, so that each expert's are neighbours.
type routing struct {
	scores   []float32  // [n, experts] the router's logits
	chosen   []int32    // [n, used] experts of each row, best first
	weight   []float32  // [n, used] their shares
	path     []int32    // [n, used] their path numbers
	rowOf    []int32    // [paths] the row of a path
	number   []int32    // [paths] 0, 1, 2, …: a path's activations are those of its number
	first    []int32    // [experts+1] the first path of each expert
	paths    []float32  // [paths, E] what each path adds, before it is weighted
	pairs    []gatePair // room for the lists of an expert step
	products []product
}

func (r *routing) resize(m *Model, n int) {
	kernels.Grow(&r.scores, n*m.Experts)
	kernels.Grow(&r.chosen, n*m.ExpertsUsed)
	kernels.Grow(&r.weight, n*m.ExpertsUsed)
	kernels.Grow(&r.path, n*m.ExpertsUsed)
	kernels.Grow(&r.rowOf, n*m.ExpertsUsed)
	kernels.Grow(&r.first, m.Experts+1)
	kernels.Grow(&r.paths, n*m.ExpertsUsed*m.Embedding)
	for i := len(r.number); i < n*m.ExpertsUsed; i++ {
		r.number = append(r.number, int32(i))
	}
}

// experts sets change = Σ_e g_e·FeedForward_e(normed) over the best experts of each row, with g the softmax of their
// router logits (Jiang et al. 2024, section 2.1).
func (p *pass) experts(l *layer, f gated) {
	m, r := p.model, &p.routing
	used := m.ExpertsUsed
	p.multiply(p.normed, product{&l.router, r.scores, nil})
	p.w.For(p.rows, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			route(row(r.scores, i, m.Experts), r.chosen[i*used:(i+1)*used], r.weight[i*used:(i+1)*used])
		}
	})
	p.w.Barrier()
	if p.w.ID == 0 {
		r.sort(p.rows*used, used)
		r.list(func(e int32, from, to int32) {
			r.pairs = append(r.pairs, gatePair{&l.gateExperts[e], &l.upExperts[e], int(from), r.rowOf[from:to]})
		})
	}
	p.w.Barrier()
	p.activate(f, r.pairs...)
	if p.w.ID == 0 {
		r.list(func(e int32, from, to int32) {
			r.products = append(r.products, product{&l.downExperts[e], r.paths[int(from)*m.Embedding:], r.number[from:to]})
		})
	}
	p.w.Barrier()
	p.multiply(p.inner, r.products...)
	p.w.For(p.rows, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			change := row(p.change, i, m.Embedding)
			clear(change)
			for j := i * used; j < (i+1)*used; j++ {
				p.impl.Axpy(r.weight[j], row(r.paths, int(r.path[j]), m.Embedding), change)
			}
		}
	})
	p.w.Barrier()
}

// route picks the experts with the largest scores, the lower number first among equals, and shares the row out among
// them by the softmax of their scores.
func route(scores []float32, chosen []int32, weight []float32) {
	taken := func(e int32, n int) bool { return slices.Contains(chosen[:n], e) }
	for j := range chosen {
		best := int32(-1)
		for e, s := range scores {
			if !taken(int32(e), j) && (best < 0 || s > scores[best]) {
				best = int32(e)
			}
		}
		chosen[j] = best
	}
	var sum float32
	for j, e := range chosen {
		weight[j] = float32(math.Exp(float64(scores[e] - scores[chosen[0]])))
		sum += weight[j]
	}
	for j := range weight {
		weight[j] /= sum
	}
}

// sort numbers the paths expert by expert, and by row within an expert.
func (r *routing) sort(paths, used int) {
	clear(r.first)
	for _, e := range r.chosen[:paths] {
		r.first[e+1]++
	}
	for e := 1; e < len(r.first); e++ {
		r.first[e] += r.first[e-1]
	}
	next := r.first[:len(r.first)-1]
	for j, e := range r.chosen[:paths] {
		r.path[j] = next[e]
		r.rowOf[next[e]] = int32(j / used)
		next[e]++
	}
	// Each entry has moved on to where the next expert begins.
	copy(r.first[1:], r.first[:len(r.first)-1])
	r.first[0] = 0
}

// list calls add for every expert that has paths, [from, to), with an empty list of products to append to.
func (r *routing) list(add func(e, from, to int32)) {
	r.pairs, r.products = r.pairs[:0], r.products[:0]
	for e := range len(r.first) - 1 {
		if from, to := r.first[e], r.first[e+1]; from < to {
			add(int32(e), from, to)
		}
	}
}
