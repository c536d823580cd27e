package attention

// Groups says which rows of a text belong together in landmark attention (Mohtashami and Jaggi 2023, section 3.1). A block
// is a run of ordinary tokens and the landmark that closes it; the last one may still lack its landmark. A block may have
// no ordinary token, where a text begins with a landmark or has two in a row.
type Groups struct {
	landmark []bool
	block    []int // of each row
	ends     []int // of each block, the row after its last one
	longest  int   // rows of a block
}

// NewGroups makes the groups of a text of which landmark says for each row whether it is a landmark's.
func NewGroups(landmark []bool) *Groups {
	g := &Groups{landmark: append([]bool(nil), landmark...), block: make([]int, len(landmark))}
	for i, l := range landmark {
		g.block[i] = len(g.ends)
		if l || i == len(landmark)-1 {
			g.ends = append(g.ends, i+1)
			g.longest = max(g.longest, i+1-g.start(len(g.ends)-1))
		}
	}
	return g
}

// Rows is the number of rows of the text.
func (g *Groups) Rows() int { return len(g.landmark) }

// Landmark returns p_j, the row of the landmark that closes row j's block: j for a landmark, and the number of rows for
// those of a block that has none yet.
func (g *Groups) Landmark(j int) int {
	last := g.ends[g.block[j]] - 1
	if g.landmark[last] {
		return last
	}
	return g.Rows()
}

// start is the first row of block b.
func (g *Groups) start(b int) int {
	if b == 0 {
		return 0
	}
	return g.ends[b-1]
}

// tokens are the ordinary rows [from, to) of block b, those up to row i.
func (g *Groups) tokens(b, i int) (from, to int) {
	to = min(g.ends[b], i+1)
	if g.landmark[to-1] {
		to--
	}
	return g.start(b), to
}
