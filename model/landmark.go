package model

import (
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
)

// landmarked is what a sequence with landmark tokens needs to attend.
type landmarked struct {
	*attention.Landmarks
	token    int32
	cos, sin []float32 // [slots][pairs] of the positions of landmarks in the slots
}

// method is how a sequence of the model attends: as asked for, or as the model says.
func (m *Model) method(asked *attention.Method) (*attention.Method, error) {
	x := m.Landmark
	switch {
	case asked == nil && x.Block > 0:
		return attention.NewLandmarks(x.Block, x.Local, x.Blocks), nil
	case asked == nil || asked.Landmarks == nil:
		return asked, nil
	case x.Block == 0:
		return nil, fmt.Errorf("model: attention %s is for models that carry landmark tokens, and %s carries none", asked.Name(), m.Architecture)
	}
	return asked.ForModel(x.Block, x.Local, x.Blocks)
}

// landmarkColumn is the column of angles for position 0: a block may begin within a group of keys, which are rotated together.
const landmarkColumn = kernels.KeyGroup

// reach works out the angles of the landmarks of so many slots.
func (x *landmarked) reach(slots int, rope *ropeTable) {
	pairs := len(rope.divisors)
	for slot := len(x.cos) / pairs; slot < slots; slot++ {
		x.cos, x.sin = append(x.cos, make([]float32, pairs)...), append(x.sin, make([]float32, pairs)...)
		sin := row(x.sin, slot, pairs)
		rope.angles(int32(landmarkColumn+slot*(x.Block+1)+x.Block), row(x.cos, slot, pairs), sin)
		for i := range sin {
			sin[i] = -sin[i]
		}
	}
}

// Rows appends the rows of tokens, of which the first has the given number in the text, in the order in which a batch has
// them: where the sequence has landmarks, there is one after each block. The logits after them are not asked for.
func (s *Sequence) Rows(rows []Row, tokens []int32, first int) []Row {
	for i, id := range tokens {
		rows = append(rows, Row{Token: id, Position: int32(s.RowsOf(first + i)), Sequence: s})
		if l := s.landmarks; l != nil && (first+i+1)%l.Block == 0 {
			rows = append(rows, Row{Token: l.token, Position: int32(s.RowsOf(first+i)) + 1, Sequence: s})
		}
	}
	return rows
}

// RowsOf is how many rows so many tokens of the text have: one each, and the landmarks among them.
func (s *Sequence) RowsOf(tokens int) int {
	if s.landmarks == nil {
		return tokens
	}
	return s.landmarks.Rows(tokens)
}

// Landmark is the token of the landmarks that Rows puts into the text, which the text itself must not have.
func (s *Sequence) Landmark() (token int32, ok bool) {
	if s.landmarks == nil {
		return 0, false
	}
	return s.landmarks.token, true
}

// MostRows is the most rows per KV head that the sequence has while so many tokens are read, block tokens at a time.
func (s *Sequence) MostRows(tokens, block int) int {
	if s.landmarks == nil {
		return s.Cache.Config().Local.MostRows(tokens, block)
	}
	return s.landmarks.MostRows(tokens, block)
}

// Block is how many tokens are read at a time where it matters, of as many as asked for.
func (s *Sequence) Block(tokens int) int {
	if s.landmarks == nil {
		return tokens
	}
	return min(tokens, s.landmarks.Local)
}

// slots are the positions of what the sequence has read, before a batch.
func (s *Sequence) slots() attention.Slots {
	return s.landmarks.Slots(s.Cache.Index(0, 0).Blocks.Rows())
}

// base is the column of the angles of the next row.
func (s *Sequence) base() int { return landmarkColumn + s.slots().Start() + s.Cache.Unsealed() }

// choosing is a sequence of a batch with landmarks, whose queries choose what blocks they open.
type choosing struct {
	sequence    *Sequence
	first, rows int // of the batch
	slots       attention.Slots
	sets, at    int // sets of blocks, and where the first one is in picks
}

// chooses notes the sequences of a batch that have landmarks.
func (a *attending) chooses(m *Model, rows []Row) {
	a.choosings = a.choosings[:0]
	size := 0
	for first := 0; first < len(rows); {
		s, end := rows[first].Sequence, runEnd(rows, first)
		if s.landmarks != nil {
			c := choosing{sequence: s, first: first, rows: end - first, slots: s.slots(), at: size}
			c.sets = s.landmarks.Share.Sets(c.rows, m.Heads)
			size += c.sets * c.slots.Opened()
			a.choosings = append(a.choosings, c)
		}
		first = end
	}
	kernels.Grow(&a.picks, size)
}

// chooseBlocks has every set of queries that share choose the blocks that they open.
func (p *pass) chooseBlocks(l *layer) {
	if len(p.choosings) == 0 {
		return
	}
	for i := range p.choosings {
		c := &p.choosings[i]
		p.w.For(c.sets, 1, func(from, to int) {
			for set := from; set < to; set++ {
				p.chooseSet(l, c, set)
			}
		})
	}
	p.w.Barrier()
}

// chooseSet scores the stored blocks with the queries of a set.
func (p *pass) chooseSet(l *layer, c *choosing, set int) {
	m, n := p.model, c.slots.Stored
	share := c.sequence.landmarks.Share
	first, step, count := share.Queries(set, c.rows, m.Heads)
	kernels.Grow(&p.blockScores, count*n)
	for i := range count {
		query := first + i*step
		token, head := query/m.Heads, query%m.Heads
		q := row(p.q, (c.first+token)*m.Heads+head, m.KeyDim)
		r := p.reading(l, c, head/(m.Heads/m.KVHeads))
		r.Score(p.impl, q, p.blockScores[i*n:(i+1)*n], p.attn)
	}
	scores := attention.BlockScores{Scores: p.blockScores, Tokens: count, Heads: 1, Blocks: n, Stride: n, Scale: m.AttentionScale}
	sharing := attention.PerTokenAndHead
	if count > 1 {
		sharing = attention.MaxOverTokens
	}
	k := c.slots.Opened()
	at := c.at + set*k
	if _, err := p.selector.Select(p.impl, p.picks[at:at:at+k], &scores, k, sharing); err != nil {
		p.fail(err)
	}
}

// reading is where a sequence stands, for a layer and KV head.
func (p *pass) reading(l *layer, c *choosing, kvHead int) *attention.Reading {
	m, s := p.model, c.sequence
	table := p.turns[s.rope]
	p.turn = kernels.Turn{
		Cos: table.cos, Sin: table.sin, Stride: table.stride, Pairs: len(s.rope.divisors), First: landmarkColumn, Halves: m.Rope.Halves,
	}
	p.view = s.Cache.View(l.index, kvHead)
	x, rotate := s.landmarks, p.impl.RopePairs
	if m.Rope.Halves {
		rotate = p.impl.RopeHalves
	}
	p.read = attention.Reading{
		Slots: c.slots, View: &p.view, Index: s.Cache.Index(l.index, kvHead), Turn: &p.turn,
		Rotate: rotate, Cos: x.cos, Sin: x.sin,
	}
	return &p.read
}

// attendLandmarks sets attended for a tile and KV head of a sequence with landmarks.
func (p *pass) attendLandmarks(l *layer, t tile, kvHead int) {
	m, c := p.model, p.choosingOf(t.first)
	p.setParams(l, t)
	group := m.Heads / m.KVHeads
	r := p.reading(l, c, kvHead)
	p.touchBlocks(c, t, kvHead, r)
	rows := r.View.Rows() - c.rows // in the view, before the batch
	for i := t.first; i < t.first+t.rows; i++ {
		for h := kvHead * group; h < (kvHead+1)*group; h++ {
			out := p.attended.Float[(i*m.Heads+h)*m.ValueDim:][:m.ValueDim]
			r.Attend(p.impl, row(p.q, i*m.Heads+h, m.KeyDim), out, rows+i-c.first, p.picksOf(c, i, h), &p.params, p.attn)
		}
	}
}

// touchBlocks notes what the queries of a tile and KV head open of rows that lie in a store.
func (p *pass) touchBlocks(c *choosing, t tile, kvHead int, r *attention.Reading) {
	if c.sequence.Cache.Store() == nil {
		return
	}
	group := p.model.Heads / p.model.KVHeads
	p.blocks = p.blocks[:0]
	for i := t.first; i < t.first+t.rows; i++ {
		for h := kvHead * group; h < (kvHead+1)*group; h++ {
			p.blocks = append(p.blocks, p.picksOf(c, i, h)...)
		}
	}
	slices.Sort(p.blocks)
	p.blocks = slices.Compact(p.blocks)
	r.Open(p.blocks, &p.opened)
	p.touch(c.sequence, &p.opened)
}

// picksOf are the blocks that a query head of a row of the batch opens.
func (p *pass) picksOf(c *choosing, row, head int) []int32 {
	k := c.slots.Opened()
	at := c.at + c.sequence.landmarks.Share.Set(row-c.first, head, p.model.Heads)*k
	return p.picks[at : at+k]
}

// choosingOf is the sequence of a row of the batch.
func (p *pass) choosingOf(row int) (c *choosing) {
	for i := range p.choosings {
		if p.choosings[i].first <= row {
			c = &p.choosings[i]
		}
	}
	return c
}

// weighLandmarks sets mass, for the query heads of a KV head of a row, to what they open.
func (p *pass) weighLandmarks(l *layer, row, kvHead int, mass []float64) {
	m, c := p.model, p.choosingOf(row)
	p.setParams(l, tile{first: row, rows: 1})
	r := p.reading(l, c, kvHead)
	for i := range mass {
		h := kvHead*len(mass) + i
		q := p.q[(row*m.Heads+h)*m.KeyDim:][:m.KeyDim]
		mass[i] = r.Mass(p.impl, q, r.View.Rows()-c.rows+row-c.first, p.picksOf(c, row, h), &p.params, p.attn)
	}
}
