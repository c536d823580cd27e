package model

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/neural"
)

// segmenting is what the layers of VariantMAC share of a batch of n rows. A segment's tokens attend to what was retrieved of a
// memory that has learned from all segments before: rounds follow one another, each with a segment of every sequence. What is
// worked out for a round's rows lies side by side.
type segmenting struct {
	rounds []round
	order  []int32 // 0, 1, … : the numbers of rows that lie side by side

	context    *kernels.Activations // [n, E] what was retrieved; then, normed, what attention came to
	keys       []float32            // [n, kvHeads · keyDim] of what was retrieved
	values     []float32            // [n, kvHeads · valueDim]
	attendedTo []float32            // [n, E] y
	learned    neural.Rows          // made of y
}

// round is a segment of every sequence that has one more in the batch.
type round struct {
	rows     []int32 // of the batch
	segments []segment
}

// segment is the rows of a round that are of one sequence.
type segment struct {
	sequence *Sequence
	from, to int
}

func (s *segmenting) resize(m *Model, n int) {
	width := m.Neural.Heads * m.Neural.Dim
	for _, p := range []*[]float32{&s.learned.Q, &s.learned.K, &s.learned.V, &s.learned.Out} {
		kernels.Grow(p, n*width)
	}
	kernels.Grow(&s.learned.Gates, n*3*m.Neural.Heads)
	kernels.Grow(&s.keys, n*m.KVHeads*m.KeyDim)
	kernels.Grow(&s.values, n*m.KVHeads*m.ValueDim)
	kernels.Grow(&s.attendedTo, n*m.Embedding)
	if s.context == nil {
		s.context = kernels.NewActivations(0, 0, m.forms)
	}
	s.context.Resize(n, m.Embedding)
	for len(s.order) < n {
		s.order = append(s.order, int32(len(s.order)))
	}
}

// segment cuts the texts of a batch into rounds.
func (s *scratch) segment(m *Model) {
	if m.Neural.Variant != VariantMAC {
		return
	}
	for _, text := range s.texts {
		number := func(r int32) int { return int(s.positions[r]) / m.Neural.Chunk }
		first := number(text.rows[0])
		for _, r := range text.rows {
			s.of(number(r)-first).add(text.sequence, r)
		}
	}
}

// of is a round by its number, in memory of earlier batches.
func (s *segmenting) of(number int) *round {
	for len(s.rounds) <= number {
		n := len(s.rounds)
		if n == cap(s.rounds) {
			s.rounds = append(s.rounds, round{})
			continue
		}
		s.rounds = s.rounds[:n+1]
		s.rounds[n].rows, s.rounds[n].segments = s.rounds[n].rows[:0], s.rounds[n].segments[:0]
	}
	return &s.rounds[number]
}

func (x *round) add(s *Sequence, r int32) {
	n := len(x.rows)
	if last := len(x.segments) - 1; last < 0 || x.segments[last].sequence != s {
		x.segments = append(x.segments, segment{sequence: s, from: n, to: n})
	}
	x.rows = append(x.rows, r)
	x.segments[len(x.segments)-1].to = n + 1
}

func (s *segmenting) forget() {
	for i := range s.rounds {
		clear(s.rounds[i].segments)
	}
	s.rounds = s.rounds[:0]
}

// context is what a layer of VariantMAC remembers of a sequence; nil: its memory is left out.
func (s *Sequence) context(l *layer) *contextState {
	if s.memories == nil {
		return nil
	}
	return s.memories[l.index].(*contextState)
}

// readSegments sets change to what a layer of VariantMAC adds, from attended, which holds attention to the segments' own tokens.
func (p *pass) readSegments(l *layer) {
	b, s := l.neural, &p.learning
	p.multiply(p.normed, product{&b.q, s.rows.Q, nil}, product{&b.out, s.rows.Out, nil})
	for i := range s.rounds {
		x := &s.rounds[i]
		p.retrieve(l, x)
		p.attendRetrieved(l, x)
		p.learnAttended(l, x)
	}
}

// retrieve sets keys and values to those of what a round's tokens retrieve (equation 21).
func (p *pass) retrieve(l *layer, x *round) {
	b, s := l.neural, &p.learning
	heads, order := b.memory.Heads, s.order[:len(x.rows)]
	p.w.For(len(x.segments)*heads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			segment, h := x.segments[at/heads], at%heads
			rows := x.rows[segment.from:segment.to]
			state := segment.sequence.context(l)
			if state == nil {
				p.readNothing(h, rows)
				continue
			}
			if h == 0 {
				state.append(p.batch, rows)
			}
			if err := b.memory.Retrieve(p.learner, state.State, h, s.rows, rows, s.read.Float); err != nil {
				p.fail(fmt.Errorf("model: layer %d: %w", l.index, err))
			}
		}
	})
	p.w.Barrier()
	p.convertRows(s.read, x.rows)
	p.multiply(s.read, product{&b.o, s.context.Float, x.rows})
	p.convertRows(s.context, order)
	p.multiply(s.context, product{&l.k, s.keys, order}, product{&l.v, s.values, order})
}

// attendRetrieved adds what was retrieved to what a round's queries attend to, and sets attendedTo (equations 22 and 23).
func (p *pass) attendRetrieved(l *layer, x *round) {
	s, heads := &p.learning, p.model.KVHeads
	p.w.For(len(x.segments)*heads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			p.attendSegment(l, x, x.segments[at/heads], at%heads)
		}
	})
	p.w.Barrier()
	p.convertRows(p.attended, x.rows)
	p.multiply(p.attended, product{&l.o, s.attendedTo, x.rows})
}

// attendSegment is the work of a segment and KV head: rows of the segment that lie side by side in the batch attend together.
func (p *pass) attendSegment(l *layer, x *round, segment segment, h int) {
	m, s := p.model, &p.learning
	state := segment.sequence.context(l)
	if state == nil {
		return // nothing was retrieved
	}
	for i := segment.from; i < segment.to; i++ {
		r := int(x.rows[i])
		key := row(s.keys, i*m.KVHeads+h, m.KeyDim)
		p.normalizeHead(key, l.kNorm)
		p.rotate(key, r)
		if err := state.rows.Put(h, int(p.batch[r].Position)%m.Neural.Chunk, key, row(s.values, i*m.KVHeads+h, m.ValueDim)); err != nil {
			p.fail(fmt.Errorf("model: what is retrieved at position %d, layer %d, head %d: %w", p.batch[r].Position, l.index, h, err))
		}
	}
	view := state.rows.View(h)
	for i := segment.from; i < segment.to; {
		t := tile{first: int(x.rows[i]), rows: 1}
		for i++; i < segment.to && t.rows < m.tileRows() && int(x.rows[i]) == t.first+t.rows; i++ {
			t.rows++
		}
		p.attendBeside(l, t, h, p.q[(t.first*m.Heads+h*m.Heads/m.KVHeads)*m.KeyDim:], &view)
	}
}

// learnAttended has the memories learn from what attention came to, and sets change for a round's rows (equations 24 and 25).
func (p *pass) learnAttended(l *layer, x *round) {
	m, b, s := p.model, l.neural, &p.learning
	heads, order := b.memory.Heads, s.order[:len(x.rows)]
	p.w.For(len(order), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.impl.RMSNorm(s.context.Row(i), row(s.attendedTo, i, m.Embedding), b.norm, m.NormEpsilon)
		}
	})
	p.w.Barrier()
	p.convertRows(s.context, order)
	p.multiply(s.context, product{&b.q, s.learned.Q, order}, product{&b.k, s.learned.K, order}, product{&b.v, s.learned.V, order},
		product{&b.gates, s.learned.Gates, order}, product{&b.out, s.learned.Out, order})
	p.w.For(len(x.segments)*heads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			segment, h := x.segments[at/heads], at%heads
			rows := order[segment.from:segment.to]
			if state := segment.sequence.context(l); state != nil {
				p.advance(l, state.State, h, s.learned, rows)
				continue
			}
			p.readNothing(h, rows)
		}
	})
	p.w.Barrier()
	p.convertRows(s.read, order)
	p.multiply(s.read, product{&b.o, s.gate, order})
	p.w.For(len(order), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.gateRow(b, row(p.change, int(x.rows[i]), m.Embedding), row(s.attendedTo, i, m.Embedding), row(s.gate, i, m.Embedding))
		}
	})
	p.w.Barrier()
}

// convertRows brings rows of activations into the forms that matrices read.
func (p *pass) convertRows(x *kernels.Activations, rows []int32) {
	p.w.For(len(rows), rowGrain, func(from, to int) {
		for _, r := range rows[from:to] {
			p.impl.Convert(x, int(r), 0, x.Cols)
		}
	})
	p.w.Barrier()
}
