package model

import "github.com/mneme-lm/mneme/kernels"

// scratch is the memory of a batch of n rows, shared by all threads. E: embedding, F: feed-forward width, U: experts used.
type scratch struct {
	wanted []int32 // rows whose logits are asked for
	rows   int     // those that the layers work on: all of the batch, or the ones wanted

	hidden   []float32            // [n, E] residual stream
	normed   *kernels.Activations // [n, E]
	q        []float32            // [n, heads · keyDim]
	k        []float32            // [n, kvHeads · keyDim]
	v        []float32            // [n, kvHeads · valueDim]
	attended *kernels.Activations // [n, heads · valueDim]
	change   []float32            // [n, E] what a sublayer adds
	inner    *kernels.Activations // [n·max(1, U), F]
	cos, sin []float32            // [n, rope dimensions/2]
	plain    []float32            // [n, heads · keyDim] queries before RoPE, where they meet persistent tokens
	sums     []float32            // [n, heads, 2] of softmaxes to which more rows come: see attention.Add
	last     *kernels.Activations // [wanted, E]
	logits   []float32            // [wanted, vocabulary]

	fullPath   []float32 // [n, heads · valueDim] attention to the chunk, where that is one of several paths
	memoryPath []float32 // of the same shape: queries of the memory, then what they read

	bankRead *kernels.Activations // [n, width of the heads] the same, where what is read is no path of attention

	routing routing
	learning
	attending
}

// resize makes room for a batch, and for its logits unless it ends before them.
func (s *scratch) resize(m *Model, rows []Row, threads int, logits bool) {
	n := len(rows)
	s.wanted = s.wanted[:0]
	for i := range rows {
		if rows[i].Logits {
			s.wanted = append(s.wanted, int32(i))
		}
	}
	if s.normed == nil {
		for _, x := range []**kernels.Activations{&s.normed, &s.attended, &s.inner, &s.last} {
			*x = kernels.NewActivations(0, 0, m.forms)
		}
	}
	paths := n * max(1, m.ExpertsUsed)
	kernels.Grow(&s.hidden, n*m.Embedding)
	s.normed.Resize(n, m.Embedding)
	kernels.Grow(&s.q, n*m.Heads*m.KeyDim)
	kernels.Grow(&s.k, n*m.KVHeads*m.KeyDim)
	kernels.Grow(&s.v, n*m.KVHeads*m.ValueDim)
	s.attended.Resize(n, m.Heads*m.ValueDim)
	kernels.Grow(&s.change, n*m.Embedding)
	s.inner.Resize(paths, m.FeedForward)
	kernels.Grow(&s.cos, n*m.Rope.Dimensions/2)
	kernels.Grow(&s.sin, n*m.Rope.Dimensions/2)
	s.last.Resize(len(s.wanted), m.Embedding)
	if logits {
		kernels.Grow(&s.logits, len(s.wanted)*m.Vocabulary)
	}
	switch {
	case m.Fifo.fuses():
		kernels.Grow(&s.fullPath, n*m.Heads*m.ValueDim)
		kernels.Grow(&s.memoryPath, n*m.Heads*m.ValueDim)
	case m.Fifo.Slots > 0:
		if s.bankRead == nil {
			s.bankRead = kernels.NewActivations(0, 0, m.forms)
		}
		s.bankRead.Resize(n, m.Fifo.Width())
	}
	if m.Neural.Persistent > 0 {
		kernels.Grow(&s.plain, n*m.Heads*m.KeyDim)
	}
	if m.Neural.beside() {
		kernels.Grow(&s.sums, n*m.Heads*2)
	}
	s.setRows(m, n)
	s.attending.resize(m, rows, threads)
	if m.Experts > 0 {
		s.routing.resize(m, n)
	}
	if len(m.Neural.Layers) > 0 {
		s.learning.resize(m, n)
		s.learning.sort(rows)
		s.segment(m)
	}
}

// setRows sets the number of rows that are worked on.
func (s *scratch) setRows(m *Model, n int) {
	s.rows, s.normed.Rows, s.inner.Rows = n, n, n*max(1, m.ExpertsUsed)
}
