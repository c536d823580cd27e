package kvcache

import (
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Policy decides which rows are worth keeping when a cache is over its budget. A policy has parameters but no state: what
// it remembers of rows are marks, which the cache moves, copies and saves with the rows. Its methods may run in several
// goroutines at once for different heads or layers.
type Policy interface {
	// Needs says what the policy wants to be told. It always answers the same.
	Needs() Needs
	// Observe is shown how one query distributes its attention over the rows of a KV head: weights, one for each row that
	// the query may see, which are the first ones; they sum to 1. It is called for the queries that Needs asks for, in
	// order of their positions, and for each of them in order of the group's heads.
	Observe(rows *Rows, q *Query, weights []float32)
	// Score fills the scores of a layer's rows: those with the largest ones stay. It is called when rows have to go, and
	// may change marks.
	Score(l *Layer)
}

// Needs is what a policy wants to be told, and how it wants rows stored.
type Needs struct {
	// Packed has keys stored before RoPE once rows were dropped; they are rotated whenever they are attended to, at positions
	// that are packed without gaps. Otherwise keys are rotated to the position in the text and stored so.
	Packed bool
	// Marks is the number of float32 values that go with each row. They begin as 0.
	Marks int
	// Queries is how many queries of a block are observed, the last ones. In decoding each token is a block.
	Queries int
	// Recent is how many of the newest rows are kept whatever their scores, unless the user says otherwise.
	Recent int
	// Surprise has the first mark set to −log p of each row's token, as the model predicted it.
	Surprise bool
	// Pooled has the heads of a layer share its budget, unless the user says otherwise.
	Pooled bool
	// Newest has the newest of rows with equal scores stay, not the oldest.
	Newest bool
	// Past has Observe shown the attention to the rows before the block alone, normalized over these.
	Past bool
}

// AllQueries asks for every query of a block.
const AllQueries = int(^uint(0) >> 1)

// Prober is a policy whose scores come from a text that is read after the block, on top of the cache, and taken out again:
// its queries are the ones observed.
type Prober interface {
	Policy
	// Text is how many tokens of the text to read at a time where a block has room for so many: what is left is room for
	// the probe.
	Text(block int) int
	// Probe returns the tokens to read after a block of the text, at most as many as there is room for.
	Probe(p *Probing) []int32
}

// Probing is what a probe can be made of.
type Probing struct {
	Block   []int32                   // the tokens since rows were last dropped, at least as many as are dropped at a time
	Episode []int32                   // the prompt of a conversation's episode, if the text belongs to one
	Prompt  []int32                   // the whole prompt that is being read: only for policies that say that they look ahead
	Room    int                       // tokens that the probe may have
	Encode  func(text string) []int32 // nil without a tokenizer
}

// Turner is a policy that is told when a turn of a conversation ends.
type Turner interface {
	Policy
	// EndTurn may change the marks of a head's rows.
	EndTurn(rows *Rows)
}

// Query is one observed query.
type Query struct {
	Position int32     // of its token in the text
	Number   int       // among the block's observed ones, from 0
	Of       int       // their number
	Head     int       // among those that share the KV head, from 0
	Group    int       // their number
	Vector   []float32 // [keyDim], as it meets the keys
}

// First reports whether this is the first query of its block.
func (q *Query) First() bool { return q.Number == 0 && q.Head == 0 }

// Rows is the rows of one layer and KV head, as a policy sees them: numbered from 0, oldest first.
type Rows struct {
	Layer, Head int
	list        *list
}

// Len is the number of rows.
func (r *Rows) Len() int { return r.list.rows() }

// Position is where in the text row i stands.
func (r *Rows) Position(i int) int32 { return r.list.position(i) }

// Mark is number k of the rows' marks, one value for each row, to be read and written.
func (r *Rows) Mark(k int) []float32 { return r.list.marks[k] }

// Cursor is a number that goes with the head, 0 at first and never more than Len: where the policy has come to.
func (r *Rows) Cursor() *int { return &r.list.cursor }

// Keys calls f for each group of kernels.KeyGroup keys with the number of the first and their values, [keyDim][KeyGroup].
// Only the last group may have fewer: its keys beyond the last row are undefined. Channels that a key was pruned of are 0.
// The values are lent for the call.
func (r *Rows) Keys(f func(first int, keys []float32)) {
	v := &r.list.view
	g := grouping{dim: v.KeyDim, f: f}
	group := make([]float32, v.KeyDim*kernels.KeyGroup)
	var narrow []float32
	if v.Channels() != nil {
		narrow = make([]float32, len(group))
	}
	for i := range v.Spans {
		s := &v.Spans[i]
		dim, bytes := v.Key(s)
		for at := 0; at < s.Rows(); at += kernels.KeyGroup {
			stored := s.Keys[at*bytes:][:kernels.KeyGroup*bytes]
			if s.Channels == nil {
				kernels.WidenKeys(group, stored, v.Type, dim, kernels.KeyGroup)
			} else {
				kernels.WidenKeys(narrow, stored, v.Type, dim, kernels.KeyGroup)
				spread(group, narrow, s.Channels)
			}
			g.add(group, min(kernels.KeyGroup, s.Rows()-at))
		}
	}
	g.end()
}

// Value decodes the value of row i.
func (r *Rows) Value(i int, value []float32) error {
	v, p := &r.list.view, &r.list.wide
	if narrow := r.list.narrow.rows; i < narrow {
		p = &r.list.narrow
	} else {
		i -= narrow
	}
	return quant.Decode(v.Type, value[:v.ValueDim], p.pages[i/PageRows].values[i%PageRows*v.ValueBytes:][:v.ValueBytes])
}

// Layer is what a policy sees of a layer whose rows it scores.
type Layer struct {
	Index  int
	Heads  []Rows
	Budget int         // rows that the layer may have per KV head
	Target int         // rows that will be left per KV head, on the average over the heads: room is made below the budget
	Sinks  int         // rows at positions below are kept whatever their scores
	Recent int         // as are so many of the newest
	Scores [][]float32 // [heads][rows], to be filled
}
