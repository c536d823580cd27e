package kvcache

import (
	"sort"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Span is a run of neighbouring rows of one layer and KV head. Rows of clusters are in no order among each other; all others
// are in that of their positions.
type Span struct {
	First     int     // number of its first row among those of the view
	Keys      []byte  // whole groups of keys, interleaved (see kernels.KeyGroup)
	Values    []byte  // [rows, value bytes]
	Positions []int32 // [rows], ascending but in clusters
	Channels  []int32 // of the keys that are stored, ascending; nil: all of them
	Last      int32   // no row's position is larger
	Skip      int     // so many of the first rows do not belong to the span: they share a group of keys with those that do
}

// Rows is the number of rows in the span.
func (s *Span) Rows() int { return len(s.Positions) }

// Until returns the number of rows at positions up to and including pos: those that a query there may see.
func (s *Span) Until(pos int32) int {
	n := len(s.Positions)
	if n == 0 || s.Last <= pos {
		return n
	}
	return sort.Search(n, func(i int) bool { return s.Positions[i] > pos })
}

// Part is rows [from, to) of a span of the view.
func (v *View) Part(s *Span, from, to int) Span {
	first := from / kernels.KeyGroup * kernels.KeyGroup
	_, key := v.Key(s)
	return Span{
		First: s.First + first, Skip: from - first, Last: s.Last, Channels: s.Channels, Positions: s.Positions[first:to],
		Keys: s.Keys[first*key : kernels.WholeGroups(to)*key], Values: s.Values[first*v.ValueBytes : to*v.ValueBytes],
	}
}

// View is what attention sees of one layer and KV head: its rows, oldest first. It is read-only, and holds until the
// cache's next change.
type View struct {
	Type                 quant.Type // of a stored row
	KeyDim, ValueDim     int
	KeyBytes, ValueBytes int // of a stored key and value
	NarrowBytes          int // of a stored key in a span that has not all channels
	Spans                []Span
	// SegmentSpans is the number of spans after which the softmax over the rows starts anew; 0: attention.SegmentSpans.
	SegmentSpans int
	// Dropped is the number of spans before the first one that are gone. They count where the softmax starts anew, so that
	// what is attended to the others has the same bits without them.
	Dropped int
}

// Key returns the number of channels of the keys of a span, and the size of a stored one.
func (v *View) Key(s *Span) (dim, bytes int) {
	if s.Channels == nil {
		return v.KeyDim, v.KeyBytes
	}
	return len(s.Channels), v.NarrowBytes
}

// Channels returns those that the keys of the view's older rows have, where these have not all: nil if every key has. They
// are the same for all of them.
func (v *View) Channels() []int32 {
	if len(v.Spans) == 0 {
		return nil
	}
	return v.Spans[0].Channels
}

// Rows is the number of rows in the view.
func (v *View) Rows() int {
	if len(v.Spans) == 0 {
		return 0
	}
	last := &v.Spans[len(v.Spans)-1]
	return last.First + last.Rows()
}

// Visible returns the numbers [from, to) of the rows at positions first to last.
func (v *View) Visible(first, last int32) (from, to int) {
	until := func(pos int32) int {
		i := sort.Search(len(v.Spans), func(i int) bool { return v.Spans[i].Last > pos })
		if i == len(v.Spans) {
			return v.Rows()
		}
		return v.Spans[i].First + v.Spans[i].Until(pos)
	}
	if first > 0 {
		from = until(first - 1)
	}
	return from, until(last)
}
