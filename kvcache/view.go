package kvcache

import (
	"sort"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Span is a run of neighbouring rows of one layer and KV head.
type Span struct {
	Keys      []byte  // whole groups of keys, interleaved (see kernels.KeyGroup)
	Values    []byte  // [rows, value bytes]
	Positions []int32 // [rows], ascending
}

// Rows is the number of rows in the span.
func (s *Span) Rows() int { return len(s.Positions) }

// Until returns the number of rows at positions up to and including pos: those that a query there may see.
func (s *Span) Until(pos int32) int {
	n := len(s.Positions)
	if n == 0 || s.Positions[n-1] <= pos {
		return n
	}
	return sort.Search(n, func(i int) bool { return s.Positions[i] > pos })
}

// View is what attention sees of one layer and KV head: its rows, oldest first. It is read-only, and holds until the
// cache's next change.
type View struct {
	Type                 quant.Type // of a stored row
	KeyDim, ValueDim     int
	KeyBytes, ValueBytes int // of a stored key and value
	Spans                []Span
}
