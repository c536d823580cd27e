package attention

import (
	"math"
	"slices"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// openClusters chooses what queries open, in so many rows, and estimate of rows in clusters (Chen et al. 2025, RetroInfer). Clusters rank by their
// centroids. They are opened in this order while the budget has room for an average one, but for those that are too large for
// what is left. Of all others the best ones are estimated.
func (r *Retrieval) openClusters(impl *kernels.Implementation, c *choice, view *kvcache.View, index *kvcache.IndexView, rows int, p *Params, s *Scratch, to *Opened) {
	n := index.Blocks.Rows()
	c.begin(n)
	c.add(impl, &index.Blocks, 0, n, s)
	c.rate(impl, p)
	opened := c.within(rows, r.Index.Block, index)
	to.begin(view)
	to.blocks(view, index, r.Index.Sinks, opened)
	to.level()
	if k := int(math.Round(r.Estimate * float64(n))); k > 0 {
		to.estimate(impl, c, c.others(k, opened), index, p, s)
	}
}

// within returns the clusters to open in so many rows, ascending. An average one has average rows.
func (c *choice) within(rows, average int, index *kvcache.IndexView) []int32 {
	n := len(c.blocks)
	for k := 2*rows/average + 1; ; k *= 2 {
		c.order = c.selector.Top(c.order[:0], c.worth, k)
		ranks := c.ranks[:0]
		for _, j := range c.order {
			ranks = append(ranks, rank(c.worth[j], int(j)))
		}
		slices.Sort(ranks)
		c.ranks, c.opened = ranks, c.opened[:0]
		left := rows
		for i := len(ranks) - 1; i >= 0 && left >= average; i-- {
			j := int32(uint32(ranks[i]))
			if from, to := index.Rows(int(j)); to-from <= left {
				c.opened = append(c.opened, j)
				left -= to - from
			}
		}
		if left < average || k >= n { // or else there is room for more than k clusters
			slices.Sort(c.opened)
			return c.opened
		}
	}
}

// others returns the k best clusters but those that are opened, ascending; all if there are fewer. The worth of those that are
// opened is forgotten.
func (c *choice) others(k int, opened []int32) []int32 {
	for _, j := range opened {
		c.worth[j] = hidden
	}
	c.order = c.selector.Top(c.order[:0], c.worth, min(k, len(c.worth)-len(opened)))
	// Where scores are too small to be told from nothing, opened clusters may be among them.
	return slices.DeleteFunc(c.order, func(j int32) bool {
		for len(opened) > 0 && opened[0] < j {
			opened = opened[1:]
		}
		return len(opened) > 0 && opened[0] == j
	})
}

// estimate has clusters estimated, whose scores the choice has.
func (o *Opened) estimate(impl *kernels.Implementation, c *choice, clusters []int32, index *kvcache.IndexView, p *Params, s *Scratch) {
	m, dim := len(c.scores)/c.stride, index.Blocks.ValueDim
	o.estimated = NewPartial(kernels.Grow(&o.memory, PartialFloats(m, dim)), m, dim)
	o.estimated.clear()
	sizes := kernels.Grow(&c.sizes, index.Blocks.Rows())
	for _, j := range clusters {
		from, to := index.Rows(int(j))
		sizes[j] = int32(to - from)
	}
	c.estimation = Estimation{Clusters: &index.Blocks, Sizes: sizes, Scores: c.scores, Stride: c.stride, Chosen: clusters}
	o.estimated.Estimate(impl, &c.estimation, p, s)
}

// level has as many spans attended to before the softmax starts anew as have about the rows of SegmentSpans pages, at most.
func (o *Opened) level() {
	rows := 0
	for i := range o.spans {
		rows += o.spans[i].Rows() - o.spans[i].Skip
	}
	pages := max(1, rows/kvcache.PageRows)
	o.View.SegmentSpans = SegmentSpans * ((len(o.spans) + pages - 1) / pages)
}

// AddEstimated adds what the queries that opened the rows see of others without opening them.
func (o *Opened) AddEstimated(impl *kernels.Implementation, to *Partial) {
	if len(o.estimated.sum) > 0 {
		to.Merge(impl, &o.estimated)
	}
}

// Attend attends from the queries to the rows that they opened, as Full does, and to what they see of others.
func (o *Opened) Attend(impl *kernels.Implementation, q *Queries, p *Params, s *Scratch) {
	total := s.full(impl, q, &o.View, p)
	o.AddEstimated(impl, &total)
	total.Finish(q, o.View.ValueDim)
}
