package attention

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/internal/params"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Landmarks is attention by landmark tokens: every block of tokens is closed by one, whose key a query asks whether to open
// the block (Mohtashami and Jaggi 2023, arXiv 2305.16300, section 3.2). It is for models that were trained so. Keys are
// stored before RoPE.
type Landmarks struct {
	Block  int // tokens of a block; with its landmark it has one row more
	Open   int // blocks that a query opens
	Local  int // tokens that are read at a time
	Memory int // newest blocks that are kept; 0: all
	Share  Sharing

	rows int // the budget, where blocks are not given
}

var landmarkKind = Kind{
	Name: "landmark", Title: "blocks that landmark tokens open, for models trained with them",
	Paper: "Mohtashami and Jaggi 2023, arXiv 2305.16300", Budget: true,
	parse: func(m *Method, p *params.Params, budget int) {
		l := &Landmarks{
			Open: p.Int("blocks", 0, 1, math.MaxInt32), Local: p.Int("local", 0, 1, math.MaxInt32),
			Memory: p.Int("memory", 0, 1, math.MaxInt32), rows: budget,
		}
		if l.Open > 0 && budget > 0 {
			p.Fail("blocks", "there is a budget of rows as well: one of the two is enough")
		}
		switch p.Word("share", "none", "heads", "tokens") {
		case "heads":
			l.Share = MaxOverHeads
		case "tokens":
			l.Share = MaxOverTokens
		}
		m.Landmarks = l
	},
}

// ForModel is the method for a model whose blocks have so many tokens, and what that model is run with where nothing else is
// asked for: tokens read at a time and blocks opened.
func (m *Method) ForModel(block, local, open int) (*Method, error) {
	l := *m.Landmarks
	l.Block = block
	if l.Local == 0 {
		l.Local = local
	}
	if l.rows > 0 {
		if l.Open = l.rows / (block + 1); l.Open == 0 {
			return nil, fmt.Errorf("attention: a budget of %d rows is less than a block, which has %d", l.rows, block+1)
		}
	} else if l.Open == 0 {
		l.Open = open
	}
	if l.Memory > 0 && l.Memory < l.Open {
		return nil, fmt.Errorf("attention: %d blocks to open, and %d are kept", l.Open, l.Memory)
	}
	return &Method{name: m.name, Landmarks: &l}, nil
}

// NewLandmarks is the method for a model that carries landmarks, as the model says.
func NewLandmarks(block, local, open int) *Method {
	return &Method{name: landmarkKind.Name, Landmarks: &Landmarks{Block: block, Open: open, Local: local}}
}

// index has the key of a block's landmark stand for it.
func (l *Landmarks) index() kvcache.Index {
	return kvcache.Index{Summary: kvcache.Landmark, Block: l.Block + 1, Keep: l.Memory}
}

// Slots are the positions of a text of which so many blocks are finished.
func (l *Landmarks) Slots(finished int) Slots {
	if l.Memory > 0 {
		finished = min(finished, l.Memory)
	}
	return Slots{Stored: finished, Open: l.Open, Block: l.Block + 1}
}

// Rows is the number of rows of so many tokens, landmarks of finished blocks among them.
func (l *Landmarks) Rows(tokens int) int { return tokens + tokens/l.Block }

// MostRows is the most rows per KV head while so many tokens are read, block tokens at a time.
func (l *Landmarks) MostRows(tokens, block int) int {
	rows := max(tokens, l.Rows(tokens)) // of more than can be counted
	if l.Memory == 0 {
		return rows
	}
	kept := int64(l.Memory+1)*int64(l.Block+1) + kvcache.PageRows // with a block that is not finished, and rows that fill no page
	return int(min(int64(rows), kept+int64(l.Rows(min(block, l.Local)))+1))
}

// Reading is where a text with landmarks stands when queries attend to it: the blocks that are finished, and the rows
// after them.
type Reading struct {
	Slots
	View  *kvcache.View
	Index *kvcache.IndexView
	// Rotate by Cos and Sin turns a query back by the position of a landmark in a slot: its product with the landmark's key
	// as it is stored is then that of both at their positions.
	Rotate   func(query, cos, sin []float32)
	Cos, Sin []float32 // [slots][pairs]
	// Turn rotates keys; the column of position 0 is its First, at least kernels.KeyGroup.
	Turn *kernels.Turn
}

// oldest is the number in the index of the oldest block that is kept.
func (r *Reading) oldest() int { return r.Index.Blocks.Rows() - r.Stored }

// Score sets scores to the products of a query with the landmarks of all stored blocks, by age.
func (r *Reading) Score(impl *kernels.Implementation, query, scores []float32, s *Scratch) {
	if r.Stored == 0 {
		return
	}
	recent := r.Stored - r.Slots.Slots() + 1 // the first block that is not in slot 0
	turned := kernels.Grow(&s.signed, len(query))
	for block := 0; block < r.Stored; {
		end := block + 1
		if block < recent {
			end = max(end, min(recent, r.Stored))
		}
		copy(turned, query)
		pairs, slot := r.Turn.Pairs, r.Slot(block)
		r.Rotate(turned, r.Cos[slot*pairs:(slot+1)*pairs], r.Sin[slot*pairs:(slot+1)*pairs])
		s.scoreRows(impl, turned, &r.Index.Blocks, r.oldest()+block, r.oldest()+end, nil, scores[block:end])
		block = end
	}
}

// Open opens stored blocks, given by age, ascending, and the rows that are in no block. The numbers become those of the index.
func (r *Reading) Open(blocks []int32, to *Opened) {
	for i := range blocks {
		blocks[i] += int32(r.oldest())
	}
	to.begin(r.View)
	to.blocks(r.View, r.Index, 0, blocks)
}

// Attend sets out to what a query comes to that opens some stored blocks, given by age, ascending. The query is that of the
// row of the given number in the view, whichever head; it is rotated to its position.
//
// It is equation 4 in its streaming form: one softmax over the rows of the query's own block and the landmarks of the
// finished blocks that are opened or were read with the query; behind each landmark, one over its block.
func (r *Reading) Attend(impl *kernels.Implementation, query, out []float32, row int, opened []int32, p *Params, s *Scratch) {
	local := r.Index.Sealed
	own, first, end := r.own(row)
	total := s.partial(&s.total, 1, r.View)
	r.rows(impl, query, first, end, end, r.Start()+own*r.Block, &total, p, s)
	for rank, block := range opened {
		from, _ := r.Index.Rows(r.oldest() + int(block))
		r.fold(impl, query, from, r.Row(rank, int(block)), &total, p, s)
	}
	for b := range own {
		r.fold(impl, query, local+b*r.Block, r.Start()+b*r.Block, &total, p, s)
	}
	total.Finish(&Queries{Out: out, Heads: 1, Positions: s.one[:]}, r.View.ValueDim)
}

// own is the number of the block that a row is of, among those that are not stored, and what the row sees of it: [first, end).
func (r *Reading) own(row int) (block, first, end int) {
	block = (row - r.Index.Sealed) / r.Block
	first, end = r.Index.Sealed+block*r.Block, row+1
	if end-first == r.Block { // a landmark does not see itself
		end--
	}
	return block, first, end
}

// fold adds a finished block.
func (r *Reading) fold(impl *kernels.Implementation, query []float32, first, position int, total *Partial, p *Params, s *Scratch) {
	inner, landmark := s.partial(&s.next, 1, r.View), first+r.Block-1
	gate := r.rows(impl, query, first, landmark, landmark+1, position, &inner, p, s)
	total.Fold(impl, 0, gate, &inner, 0)
}

// rows adds rows [from, to) of a block, of which the first is at a position, and returns the score of the row after them, the
// block's landmark, if that is before end.
func (r *Reading) rows(impl *kernels.Implementation, query []float32, from, to, end, position int, t *Partial, p *Params, s *Scratch) (gate float32) {
	n := to - from
	scores := kernels.Grow(&s.signed, kernels.WholeGroups(end-from))
	r.score(impl, query, from, end, position, scores, s)
	if end > to {
		gate = p.scaled(impl, scores[n], s)
	}
	weights := scores[:kernels.WholeGroups(n)]
	s.weigh(impl, weights, 0, n, p, *t, 0)
	for at := from; at < to; {
		span := &r.View.Spans[at/kvcache.PageRows]
		in := at - span.First
		some := min(to-at, span.Rows()-in)
		size := r.View.ValueBytes
		impl.AddValues(t.out, weights[at-from:], len(weights), r.View.ValueDim, span.Values[in*size:(in+some)*size], r.View.Type, some, s.kernels)
		at += some
	}
	return gate
}

// score multiplies the query by the keys of rows [from, to), rotated to positions from the given one on.
func (r *Reading) score(impl *kernels.Implementation, query []float32, from, to, position int, scores []float32, s *Scratch) {
	turn := *r.Turn
	turn.First += position
	s.scoreRows(impl, query, r.View, from, to, &turn, scores)
}

// scoreRows multiplies one query by the keys of rows [from, to) of a view of whole pages. A turn, if it is not nil, rotates them:
// its First is the column of the first of these rows.
func (s *Scratch) scoreRows(impl *kernels.Implementation, query []float32, view *kvcache.View, from, to int, turn *kernels.Turn, scores []float32) {
	size := view.KeyBytes
	for at := from; at < to; {
		span := &view.Spans[at/kvcache.PageRows]
		in := at - span.First
		low := in / kernels.KeyGroup * kernels.KeyGroup
		n := min(to-at, span.Rows()-in)
		whole := kernels.WholeGroups(in + n - low)
		var by *kernels.Turn
		if turn != nil {
			s.turn = *turn
			s.turn.First += at - from - (in - low)
			by = &s.turn
		}
		out := kernels.Grow(&s.scores, kvcache.PageRows)[:whole]
		impl.Scores(out, whole, query, view.KeyDim, span.Keys[low*size:(low+whole)*size], view.Type, whole, by, s.kernels)
		copy(scores[at-from:at-from+n], out[in-low:])
		at += n
	}
}

// scaled is what a product of a query and a key is in the softmax.
func (p *Params) scaled(impl *kernels.Implementation, product float32, s *Scratch) float32 {
	s.one32[0] = product * p.Scale
	if p.Softcap > 0 {
		impl.Softcap(s.one32[:], p.Softcap)
	}
	return s.one32[0]
}
