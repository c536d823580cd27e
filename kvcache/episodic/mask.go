package episodic

import "fmt"

// BlockMask is what a token sees when the sensitivity of layers is measured: reading in blocks that are forgotten, as
// attention sees it (EpiCache, arXiv 2509.17396, layer sensitivity, and the authors' profiling code). Token t of
// block b = ⌊t/Window⌋ sees
//
//	(i)   its own block, up to itself;
//	(ii)  the last ⌊Overlap·Window⌋ tokens of block b−1;
//	(iii) tokens 0 to Sinks−1, if t ≥ Sinks.
type BlockMask struct {
	Window  int     `json:"window"`  // tokens of a block
	Sinks   int     `json:"sinks"`   // tokens at the beginning that stay
	Overlap float64 `json:"overlap"` // the part of the block before that stays, 0 to 1
}

// ProfileMask is the mask of the authors' profiles.
var ProfileMask = BlockMask{Window: 4096, Sinks: 128, Overlap: 0.5}

// Range is a run of tokens: From ≤ i < To.
type Range struct{ From, To int }

// Check returns an error for a mask that means nothing.
func (m BlockMask) Check() error {
	switch {
	case m.Window < 1:
		return fmt.Errorf("episodic: mask with blocks of %d tokens: want at least 1", m.Window)
	case m.Sinks < 0:
		return fmt.Errorf("episodic: mask with %d sinks", m.Sinks)
	case !(m.Overlap >= 0 && m.Overlap <= 1):
		return fmt.Errorf("episodic: mask with an overlap of %v: want 0 to 1", m.Overlap)
	}
	return nil
}

// Sees reports whether the token at query may attend to the one at key. With a mask that Check refuses nobody sees
// anything.
func (m BlockMask) Sees(query, key int) bool {
	if m.Check() != nil || key < 0 || key > query {
		return false
	}
	switch block := query / m.Window; {
	case key/m.Window == block:
		return true
	case key < m.Sinks && query >= m.Sinks:
		return true
	default:
		return key/m.Window == block-1 && m.Window-key%m.Window <= m.overlap()
	}
}

// Visible appends to dst the tokens that the one at query sees, itself among them: disjoint ranges in ascending
// order, not more than three, and none that is empty.
func (m BlockMask) Visible(dst []Range, query int) []Range {
	if m.Check() != nil || query < 0 {
		return dst
	}
	from := query - query%m.Window
	from -= min(from, m.overlap())
	if query >= m.Sinks && m.Sinks > 0 {
		if m.Sinks >= from {
			from = 0
		} else {
			dst = append(dst, Range{0, m.Sinks})
		}
	}
	return append(dst, Range{from, query + 1})
}

// overlap is the number of tokens that stay of the block before.
func (m BlockMask) overlap() int { return min(int(m.Overlap*float64(m.Window)), m.Window) }
