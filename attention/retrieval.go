package attention

import (
	"fmt"

	"github.com/mneme-lm/mneme/internal/params"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Retrieval opens, of a long text, the blocks of rows whose summaries promise the most, beside the first rows and the
// newest ones. It needs no training: for blocks with bounds see Tang et al. 2024 (Quest, arXiv 2406.10774), for clusters
// Chen et al. 2025 (RetroInfer, arXiv 2505.02922).
type Retrieval struct {
	Index    kvcache.Index
	Rows     int     // opened at a time, the first and the newest ones among them
	Local    int     // newest rows that are in no block
	Estimate float64 // share of the clusters that are not opened but estimated by their means
}

// DefaultBlock is the number of rows of a block, and DefaultSegment that of a segment that is clustered, unless others are
// asked for; clusters have sixteen rows on the average, as in the paper.
const (
	DefaultBlock   = 64
	DefaultCluster = 16
	DefaultSegment = 1024
	DefaultLocal   = 64
)

var retrievalKind = Kind{
	Name: "retrieval", Title: "the blocks of a long text whose summaries promise the most, for any model",
	Paper: "Tang et al. 2024, arXiv 2406.10774 (summary=bounds); Chen et al. 2025, arXiv 2505.02922 (summary=clusters)", Budget: true,
	parse: func(m *Method, p *params.Params, budget int) {
		const most = 1 << 20
		r := &Retrieval{Rows: budget}
		block := DefaultBlock
		switch p.Word("summary", "mean", "bounds", "clusters") {
		case "mean":
			r.Index.Summary = kvcache.Mean
		case "bounds":
			r.Index.Summary = kvcache.Bounds
		case "clusters":
			r.Index.Summary = kvcache.Centroid
			r.Index.Segment = kernels.WholeGroups(p.Int("segment", DefaultSegment, 1, most))
			r.Estimate = p.Float("estimate", 0, 0, 1)
			block = DefaultCluster
		}
		if r.Index.Summary != kvcache.Centroid {
			p.Only("summary=clusters", "segment", "estimate")
		}
		r.Index.Block = kernels.WholeGroups(p.Int("block", block, 1, most))
		if s := r.Index.Segment; r.Index.Summary == kvcache.Centroid && s < r.Index.Block {
			p.Fail("segment", "%d rows are less than a cluster, which has %d", s, r.Index.Block)
		}
		r.Index.Sinks = kernels.WholeGroups(p.Int("sinks", kvcache.DefaultSinks, 0, most))
		if r.Index.Summary != kvcache.Centroid { // blocks then begin where pages do
			r.Index.Sinks = (r.Index.Sinks + r.Index.Block - 1) / r.Index.Block * r.Index.Block
		}
		r.Local = p.Int("local", DefaultLocal, 1, most)
		m.Retrieval = r
	},
}

// check returns an error unless the budget has room for what is always open, and a block.
func (r *Retrieval) check() error {
	if r.Rows == 0 {
		return errBudget
	}
	if least := r.always() + r.Index.Block; r.Rows < least {
		return fmt.Errorf("attention: a budget of %d rows has no room for %d sinks, the %d rows that may be in no block yet, and a block of %d",
			r.Rows, r.Index.Sinks, r.always()-r.Index.Sinks, r.Index.Block)
	}
	return nil
}

// always is the most rows that are open whatever the queries ask for, before any rows that are read beside a query.
func (r *Retrieval) always() int {
	return r.Index.Sinks + r.Local + max(r.Index.Block, r.Index.Segment)
}

// Opened is what some queries open of a view. Its memory is used again and again.
type Opened struct {
	View  kvcache.View
	spans []kvcache.Span

	estimated Partial // what the queries see of other rows, without opening them; of no query, if they see nothing
	memory    []float32
}

// All opens everything.
func (o *Opened) All(view *kvcache.View) { o.View, o.estimated = *view, Partial{} }

// begin opens nothing of a view yet.
func (o *Opened) begin(view *kvcache.View) {
	o.All(view)
	o.spans = o.spans[:0]
}

// blocks opens the first rows, some blocks, which ascend, and the rows that are in no block.
func (o *Opened) blocks(view *kvcache.View, index *kvcache.IndexView, sinks int, chosen []int32) {
	from, end := 0, sinks
	for _, b := range chosen {
		first, after := index.Rows(int(b))
		if first != end {
			o.add(view, from, end)
			from = first
		}
		end = after
	}
	if end != index.Sealed {
		o.add(view, from, end)
		from = index.Sealed
	}
	o.add(view, from, view.Rows())
}

// Forget lets go of the view: its rows may be somebody's who would be rid of them.
func (o *Opened) Forget() {
	o.View = kvcache.View{}
	clear(o.spans[:cap(o.spans)])
}

// add opens rows [from, to).
func (o *Opened) add(view *kvcache.View, from, to int) {
	for from < to {
		span := &view.Spans[from/kvcache.PageRows]
		end := min(to-span.First, span.Rows())
		o.spans = append(o.spans, view.Part(span, from-span.First, end))
		from = span.First + end
	}
	o.View.Spans = o.spans
}

// Open chooses what queries that share a KV head open of its rows, of which so many are fresh: read together with the queries.
// The first of these counts, the others are beyond the budget.
func (r *Retrieval) Open(impl *kernels.Implementation, q *Queries, view *kvcache.View, index *kvcache.IndexView, fresh int, p *Params, s *Scratch, to *Opened) {
	past := view.Rows() - fresh
	rows := r.Rows - r.Index.Sinks - (past + 1 - index.Sealed) // left for blocks
	if past < r.Rows || r.Index.Summary != kvcache.Centroid && rows/r.Index.Block >= index.Blocks.Rows() {
		to.All(view)
		return
	}
	s.pack(q, view)
	c := s.choice(r, q, view)
	if r.Index.Summary == kvcache.Centroid {
		r.openClusters(impl, c, view, index, rows, p, s, to)
		return
	}
	k := rows / r.Index.Block
	c.scan(impl, index, k, p, s)
	to.begin(view)
	c.top(k)
	to.blocks(view, index, r.Index.Sinks, c.blocks)
}

// Unsealed is the most rows that are in no block, of which so many were read together.
func (r *Retrieval) Unsealed(fresh int) int { return r.always() - r.Index.Sinks + fresh }

// MostSpans is the most spans that are opened of a long text, of which so many rows are in no block: sinks, blocks, and the
// rest, each of which may end a page further than it begins.
func (r *Retrieval) MostSpans(unsealed int) int {
	pages := func(rows int) int { return rows/kvcache.PageRows + 2 }
	if r.Index.Summary == kvcache.Centroid {
		return pages(r.Rows + unsealed) // see Opened.level
	}
	return pages(r.Index.Sinks) + r.Rows/r.Index.Block*pages(r.Index.Block) + pages(unsealed)
}

// choice is the search for the blocks that some queries open.
type choice struct {
	queries []float32 // [m, dim] as summaries meet them
	dim     int
	scores  []float32 // [m, stride] with the candidates
	stride  int
	blocks  []int32   // the candidates, ascending
	worth   []float32 // of each candidate
	order   []int32

	selector Selector

	// Of clusters.
	ranks      []uint64 // of the best
	opened     []int32
	sizes      []int32 // of those that are estimated
	estimation Estimation
}

// choice begins a search: queries become what the inner product with a summary means.
func (s *Scratch) choice(r *Retrieval, q *Queries, view *kvcache.View) *choice {
	c := &s.chosen
	c.dim = view.KeyDim
	if r.Index.Summary != kvcache.Bounds {
		c.queries = s.queries
		return c
	}
	// The largest product of a query with any key within bounds is Σ max(q·most, q·least), that of (q⁺, q⁻) with both.
	m := len(s.queries) / c.dim
	c.queries = kernels.Grow(&s.signed, 2*len(s.queries))
	for i := range m {
		to := c.queries[2*i*c.dim:]
		for d, v := range s.queries[i*c.dim : (i+1)*c.dim] {
			to[d], to[c.dim+d] = max(v, 0), min(v, 0)
		}
	}
	c.dim *= 2
	return c
}

// twoLevels is the number of blocks from which groups of them are looked at first, and candidates how many times as many blocks
// are then looked at as will be opened. Groups hide some of the best blocks: of 4,093 blocks they are chosen for a query in 9 µs
// in place of 18, but hold 77% of the attention in place of 85% (BenchmarkOpen, means). So this is for texts whose
// summaries would take longer than the rows that are opened.
const (
	twoLevels  = 4096
	candidates = 16
)

// scan scores the blocks that come into question, for each of which there is a worth afterwards.
func (c *choice) scan(impl *kernels.Implementation, index *kvcache.IndexView, k int, p *Params, s *Scratch) {
	n, groups := index.Blocks.Rows(), index.Groups.Rows()
	if wanted := (candidates*k + kvcache.GroupBlocks - 1) / kvcache.GroupBlocks; n >= twoLevels && groups > 2*wanted {
		c.begin(groups)
		c.add(impl, &index.Groups, 0, groups, s)
		c.rate(impl, p)
		c.top(wanted)
		chosen := append(s.groups[:0], c.blocks...)
		s.groups = chosen
		rest := groups * kvcache.GroupBlocks
		c.begin(wanted*kvcache.GroupBlocks + n - rest)
		for _, g := range chosen {
			first := int(g) * kvcache.GroupBlocks
			c.add(impl, &index.Blocks, first, first+kvcache.GroupBlocks, s)
		}
		c.add(impl, &index.Blocks, rest, n, s)
	} else {
		c.begin(n)
		c.add(impl, &index.Blocks, 0, n, s)
	}
	c.rate(impl, p)
}

// Candidates is the most blocks of so many rows, or groups of them, whose scores are looked at together.
func (r *Retrieval) Candidates(rows int) int {
	blocks := rows / r.Index.Block
	if r.Index.Summary == kvcache.Centroid || blocks < twoLevels {
		return blocks
	}
	groups, wanted := blocks/kvcache.GroupBlocks, candidates*r.Rows/r.Index.Block
	return max(twoLevels, groups, min(blocks, 2*wanted)+2*kvcache.GroupBlocks)
}

// begin makes room for n candidates.
func (c *choice) begin(n int) {
	m := len(c.queries) / c.dim
	c.stride = kernels.WholeGroups(n)
	if cap(c.scores) < m*c.stride {
		c.scores = make([]float32, m*c.stride+m*c.stride/4)
	}
	c.scores, c.blocks = c.scores[:m*c.stride], c.blocks[:0]
}

// add scores the summaries [from, to); the first one begins a group of keys.
func (c *choice) add(impl *kernels.Implementation, view *kvcache.View, from, to int, s *Scratch) {
	for from < to {
		span := &view.Spans[from/kvcache.PageRows]
		first := from - span.First
		n := min(to-from, span.Rows()-first)
		whole := kernels.WholeGroups(n)
		keys := span.Keys[first*view.KeyBytes : (first+whole)*view.KeyBytes]
		impl.Scores(c.scores[len(c.blocks):], c.stride, c.queries, c.dim, keys, view.Type, whole, nil, s.kernels)
		for i := range n {
			c.blocks = append(c.blocks, int32(from+i))
		}
		from += n
	}
}

// rate sets the candidates' worth: for one query the score, for several the sum of the softmax of each one's scores. The scores
// stay as they are.
func (c *choice) rate(impl *kernels.Implementation, p *Params) {
	m, n := len(c.queries)/c.dim, len(c.blocks)
	c.worth = c.scores[:n]
	if m > 1 {
		b := BlockScores{Scores: c.scores, Tokens: m, Heads: 1, Blocks: n, Stride: c.stride, Scale: p.Scale}
		c.worth = c.selector.pool(impl, &b, 0, 1, m, true)
	}
}

// top leaves the k best candidates, in their order. Of those with the same worth the newer ones stay.
func (c *choice) top(k int) {
	if k >= len(c.blocks) {
		return
	}
	c.order = c.selector.Top(c.order[:0], c.worth, k)
	for i, at := range c.order {
		c.blocks[i] = c.blocks[at]
	}
	c.blocks = c.blocks[:k]
}
