package kvcache

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// tester is what tests and their properties have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// stream is a text on its way through a cache that a policy keeps within its budget. Keys, values, attention and surprise
// follow from positions and from what a head is called, so that the same text can go through another cache.
type stream struct {
	t         tester
	c         *Cache
	e         *Eviction
	names     []int // of the heads
	evictedAt int
	evictions int
}

const streamGroup = 2 // query heads that share a KV head

func newStream(t tester, text string, budget int, names ...int) *stream {
	t.Helper()
	budgets := []int{budget, budget + 3}
	e, err := NewEviction(text, budgets)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Layers: len(budgets), Heads: len(names), KeyDim: 4, ValueDim: 2, Type: quant.F32, Marks: e.Needs().Marks}
	return &stream{t: t, c: mustNew(t, cfg), e: e, names: names}
}

// value is a number in [-1, 1) that follows from others.
func value(of ...int) float32 { return seed(0).and(of...).value() }

type seed uint64

func (x seed) and(more ...int) seed {
	for _, n := range more {
		x = (x ^ seed(n) ^ 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
		x ^= x >> 29
	}
	return x
}

func (x seed) value() float32 { return float32(x*0x94d049bb133111eb>>40)/(1<<23) - 1 }

const (
	forKeys = iota
	forValues
	forAttention
	forSurprise
)

// read adds n tokens, and shows the policy what it asks for.
func (s *stream) read(n int) {
	first := s.append(n)
	for l := range s.c.cfg.Layers {
		for h, name := range s.names {
			for p := first; p < s.c.seen; p++ {
				key, val := make([]float32, s.c.cfg.KeyDim), make([]float32, s.c.cfg.ValueDim)
				for i := range key {
					key[i] = value(forKeys, l, name, p, i)
				}
				for i := range val {
					val[i] = value(forValues, l, name, p, i)
				}
				if err := s.c.Put(l, h, p, encode(s.t, quant.F32, key), encode(s.t, quant.F32, val)); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	surprise := make([]float32, n)
	for i := range surprise {
		surprise[i] = 1 + value(forSurprise, first+i)
	}
	s.e.Surprise(s.c, first, surprise)
	if _, probes := s.e.Policy().(Prober); !probes {
		s.observe(first, min(n, s.e.Needs().Queries))
	}
}

func (s *stream) append(n int) (first int) {
	positions := make([]int32, n)
	for i := range positions {
		positions[i] = int32(s.c.seen + i)
	}
	first, err := s.c.Append(positions)
	if err != nil {
		s.t.Fatal(err)
	}
	return first
}

// observe shows the policy the last n queries of a block that began with the given position.
func (s *stream) observe(first, n int) {
	for l := range s.c.cfg.Layers {
		for h, name := range s.names {
			rows := s.c.RowsOf(l, h)
			for i := range n {
				at := s.c.seen - n + i
				for g := range streamGroup {
					q := &Query{Position: int32(at), Number: i, Of: n, Head: g, Group: streamGroup, Vector: make([]float32, s.c.cfg.KeyDim)}
					until := at
					if s.e.Needs().Past {
						until = first - 1
					}
					if weights := attention(&rows, until, l, name, at, g); len(weights) > 0 {
						s.e.Policy().Observe(&rows, q, weights)
					}
				}
			}
		}
	}
}

// attention is how a query distributes its attention over the rows until a position.
func attention(rows *Rows, until int, of ...int) []float32 {
	weights := make([]float32, 0, rows.Len())
	query := seed(forAttention).and(of...)
	var sum float32
	for i := range rows.Len() {
		if p := int(rows.Position(i)); p <= until {
			w := 1 + query.and(p).value()
			w *= w * w * w
			weights, sum = append(weights, w), sum+w
		}
	}
	for i := range weights {
		weights[i] /= sum
	}
	return weights
}

// makeRoom drops rows if so many more would exceed the budget, until there is room for as many as given.
func (s *stream) makeRoom(more, room int) {
	s.t.Helper()
	if !s.e.Over(s.c, more) {
		return
	}
	if p, ok := s.e.Policy().(Prober); ok {
		s.probe(p)
	}
	for l := range s.c.cfg.Layers {
		s.evict(l, room)
	}
	s.c.Evicted()
	s.evictedAt = s.c.seen
	s.evictions++
	if s.e.Over(s.c, room) {
		s.t.Fatalf("%s: over the budget after rows were dropped", s.e.Name())
	}
}

func (s *stream) probe(p Prober) {
	const room = 12
	block := make([]int32, max(s.c.seen-s.evictedAt, 1))
	probe := p.Probe(&Probing{Block: block, Room: room})
	if len(probe) == 0 || len(probe) > room {
		s.t.Fatalf("%s: a probe of %d tokens, there is room for %d", s.e.Name(), len(probe), room)
	}
	first := s.append(len(probe))
	s.observe(first, min(len(probe), s.e.Needs().Queries))
	if err := s.c.Truncate(first); err != nil {
		s.t.Fatal(err)
	}
}

// row is one row with all that belongs to it.
type row struct {
	position   int32
	key, value []byte
	marks      [2]float32
}

func (s *stream) rows(layer, head int) []row {
	l, view := s.c.list(layer, head), s.c.View(layer, head)
	rows := make([]row, 0, l.rows())
	for i := range view.Spans {
		span := &view.Spans[i]
		keys, values := keyRows(&view, span), bytes.Clone(span.Values)
		for j, p := range span.Positions {
			r := row{position: p, key: keys[j*view.KeyBytes:][:view.KeyBytes], value: values[j*view.ValueBytes:][:view.ValueBytes]}
			for k, m := range l.marks {
				r.marks[k] = m[span.First+j]
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// kept is the positions of the rows of every layer and head.
func (s *stream) kept() [][]int32 {
	var kept [][]int32
	for i := range s.c.lists {
		kept = append(kept, s.keptBy(i/len(s.names), i%len(s.names)))
	}
	return kept
}

func (s *stream) keptBy(layer, head int) []int32 {
	var positions []int32
	rows := s.c.RowsOf(layer, head)
	for i := range rows.Len() {
		positions = append(positions, rows.Position(i))
	}
	return positions
}

// evict drops rows of a layer and checks all that holds for every policy.
func (s *stream) evict(layer, room int) {
	s.t.Helper()
	excess := s.e.excess(s.c, layer, room)
	before := make([][]row, len(s.names))
	scored := s.scored(layer, room, excess)
	for h := range s.names {
		before[h] = scored.rows(layer, h)
	}
	dropped, err := s.e.Evict(s.c, layer, room)
	if err != nil {
		s.t.Fatal(err)
	}
	if dropped != max(excess, 0) {
		s.t.Fatalf("%s: %d rows were dropped of %d too many", s.e.Name(), dropped, excess)
	}
	for h := range s.names {
		after := s.rows(layer, h)
		if target := s.e.Budget(layer) - room; !s.e.pooled && excess > 0 && len(after) != target {
			s.t.Fatalf("%s: head %d has %d rows left, not %d", s.e.Name(), h, len(after), target)
		}
		s.checkKept(h, before[h], after)
	}
}

// scored is the stream as it is when its rows have been scored: that may change marks.
func (s *stream) scored(layer, room, excess int) *stream {
	copied := *s
	copied.c = mustNew(s.t, s.c.cfg)
	if err := copied.c.Restore(s.c.Snapshot()); err != nil {
		s.t.Fatal(err)
	}
	if excess > 0 {
		copied.e.Policy().Score(copied.e.layer(copied.c, layer, room))
	}
	return &copied
}

// checkKept checks that rows are some of those before, in order, unchanged, sinks and recent ones among them.
func (s *stream) checkKept(head int, before, after []row) {
	s.t.Helper()
	at := 0
	for i, was := range before {
		if at < len(after) && after[at].position == was.position {
			is := after[at]
			if !bytes.Equal(is.key, was.key) || !bytes.Equal(is.value, was.value) || is.marks != was.marks {
				s.t.Fatalf("%s: head %d: the row at position %d has changed: %v, was %v", s.e.Name(), head, was.position, is, was)
			}
			at++
			continue
		}
		if int(was.position) < s.e.sinks || i >= len(before)-s.e.recent {
			s.t.Fatalf("%s: head %d: row %d of %d, at position %d, is gone", s.e.Name(), head, i, len(before), was.position)
		}
	}
	if at != len(after) {
		s.t.Fatalf("%s: head %d: the row at position %d was not there, or elsewhere", s.e.Name(), head, after[at].position)
	}
}

// step is a block of a text that is read, or so many tokens one by one.
type step struct {
	tokens int
	single bool
	turn   bool // a turn ends after it
}

func (s *stream) run(steps []step) {
	s.t.Helper()
	for _, step := range steps {
		if step.single {
			for range step.tokens {
				s.makeRoom(1, s.e.Interval())
				s.read(1)
			}
		} else {
			s.read(step.tokens)
			s.makeRoom(0, 0)
		}
		if s.e.Over(s.c, 0) {
			s.t.Fatalf("%s: over the budget", s.e.Name())
		}
		if step.turn {
			s.e.EndTurn(s.c)
		}
	}
}

// reads is a text of so many tokens in blocks.
func reads(tokens, block int) []step {
	return slices.Repeat([]step{{tokens: block}}, tokens/block)
}

// each runs a test for every policy.
func each(t *testing.T, test func(t *testing.T, kind Kind)) {
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) { test(t, kind) })
	}
}

// with is the text that names a policy with parameters, among them those that make it one for a cache as small as here.
func with(kind Kind, parameters string, args ...any) string {
	text := map[string]string{"lfa": "top=3", "lra": "top=3", "snapkv": "window=5", "snapkv-query": "window=5"}[kind.Name]
	if text != "" && parameters != "" {
		text += ","
	}
	if text += fmt.Sprintf(parameters, args...); text == "" {
		return kind.Name
	}
	return kind.Name + ":" + text
}

// show has the policy observe a block's queries of one head of the first layer: attention[query][head of the group].
func (s *stream) show(head int, attention ...[][]float32) {
	rows := s.c.RowsOf(0, head)
	for i, group := range attention {
		for g, weights := range group {
			at := int32(s.c.seen - len(attention) + i)
			s.e.Policy().Observe(&rows, &Query{Position: at, Number: i, Of: len(attention), Head: g, Group: len(group)}, weights)
		}
	}
}

// scores scores the rows of the first layer.
func (s *stream) scores(room int) [][]float32 {
	l := s.e.layer(s.c, 0, room)
	s.e.Policy().Score(l)
	return l.Scores
}

// putKeys sets the keys of a head's first rows in the first layer.
func (s *stream) putKeys(head int, keys ...[]float32) {
	for i, key := range keys {
		key = append(slices.Clone(key), make([]float32, s.c.cfg.KeyDim-len(key))...)
		if err := s.c.Put(0, head, i, encode(s.t, quant.F32, key), encode(s.t, quant.F32, make([]float32, s.c.cfg.ValueDim))); err != nil {
			s.t.Fatal(err)
		}
	}
}

// near reports whether two vectors are the same up to rounding.
func near(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return max(x-y, y-x) <= 1e-6 })
}
