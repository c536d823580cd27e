package kvcache

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/internal/params"
	"github.com/mneme-lm/mneme/kernels"
)

// thinkName is what users write behind a policy.
const thinkName = "think"

// thinkQueries is the number of a text's last queries that say which channels of the keys matter (Xu et al. 2024, ThinK:
// Thinner Key Cache by Query-Driven Pruning, section 3.2).
const thinkQueries = 32

// think prunes channels of keys that queries hardly ask for (ThinK, arXiv 2407.21018). It goes with any policy, which
// chooses rows as it would without.
//
// A channel c of a KV head scores mean(q_c²)·mean(k_c²), over the last 32 queries, of all heads that share the KV head, and
// over all cached keys: up to a factor the squared Frobenius norm of what the channel adds to their inner products,
// ‖Q_c K_cᵀ‖². Those with the lowest scores go. They are chosen when keys are pruned for the first time, and stay the same
// for the rows that grow old later: the keys of a head have one width, a query is gathered once for all of them, and no
// channel has to come back. The newest rows keep all their channels until they are old.
type think struct {
	ratio    float64 // of the channels to prune
	recent   int     // newest rows that are not pruned
	interval int     // rows that are pruned at a time, at least
}

// newThink makes think of its parameters:
//
//	ratio=0.4     share of the channels to prune
//	recent=32     newest rows, which keep all channels
//	interval=N    rows to prune at a time, at least; what fills a page with the recent ones: fewer free no memory
func newThink(p *Params) *think {
	t := &think{ratio: p.Float("ratio", 0.4, 0, 0.99), recent: p.Int("recent", thinkQueries, 1, math.MaxInt32/2)}
	t.interval = p.Int("interval", max(thinkQueries, PageRows-t.recent), 1, math.MaxInt32/2)
	return t
}

// parseThink takes think:key=value,key=value apart.
func parseThink(text string) (*think, error) {
	_, given, err := params.Parse(policyOwner, text)
	if err != nil {
		return nil, err
	}
	t := newThink(given)
	return t, given.Done()
}

// channels is the number of channels to prune of keys of cfg's.
func (t *think) channels(cfg Config) (int, error) {
	const slip = 1e-9 // 0.29·100 is a little less than 29
	pruned := int(math.Floor(float64(cfg.KeyDim)*t.ratio + slip))
	block := cfg.Type.BlockLen()
	pruned -= pruned % block
	if pruned < 1 && t.ratio > 0 {
		if block > 1 {
			return 0, fmt.Errorf("kvcache: think: ratio=%g of keys of %d channels prunes none: %s rows keep a multiple of %d", t.ratio, cfg.KeyDim, cfg.Type, block)
		}
		return 0, fmt.Errorf("kvcache: think: ratio=%g of keys of %d channels prunes none", t.ratio, cfg.KeyDim)
	}
	return pruned, nil
}

// asked is the last queries of a KV head, by which its channels are to be chosen: twice as many as that takes, so that a
// block can be taken out again.
type asked struct {
	squares   []float32 // [queries, keyDim] q_c², the mean over the heads that share the KV head
	positions []int32   // of their tokens
}

func (a *asked) clone() asked {
	if a.positions == nil {
		return asked{}
	}
	return asked{
		append(make([]float32, 0, cap(a.squares)), a.squares...), append(make([]int32, 0, cap(a.positions)), a.positions...),
	}
}

func (a *asked) bytes() int64 { return 4 * int64(cap(a.squares)+cap(a.positions)) }

// askedBytes is the most that it takes.
func askedBytes(keyDim int) int64 { return 4 * 2 * thinkQueries * int64(keyDim+1) }

// until forgets queries after a position.
func (a *asked) until(pos int32) {
	for n := len(a.positions); n > 0 && a.positions[n-1] > pos; n-- {
		a.squares, a.positions = a.squares[:len(a.squares)/n*(n-1)], a.positions[:n-1]
	}
}

// begin makes room for those of a block.
func (a *asked) begin(keyDim int) {
	if a.positions == nil {
		a.squares, a.positions = make([]float32, 0, 2*thinkQueries*keyDim), make([]int32, 0, 2*thinkQueries)
	}
	if old := len(a.positions) - thinkQueries; old > 0 {
		a.squares, a.positions = slices.Delete(a.squares, 0, old*keyDim), slices.Delete(a.positions, 0, old)
	}
}

// mean returns the mean over the last 32 queries for each channel.
func (a *asked) mean(keyDim int) []float64 {
	means := make([]float64, keyDim)
	first := max(0, len(a.positions)-thinkQueries)
	for i, x := range a.squares[first*keyDim:] {
		means[i%keyDim] += float64(x)
	}
	for c := range means {
		means[c] /= float64(len(a.positions) - first)
	}
	return means
}

// meanOfKeys returns the mean over a head's keys of k_c², for each channel.
func meanOfKeys(rows *Rows, keyDim int) []float64 {
	means := make([]float64, keyDim)
	rows.Keys(func(first int, keys []float32) {
		n := min(kernels.KeyGroup, rows.Len()-first)
		for c := range means {
			for _, k := range keys[c*kernels.KeyGroup:][:n] {
				means[c] += float64(k) * float64(k)
			}
		}
	})
	for c := range means {
		means[c] /= float64(rows.Len())
	}
	return means
}

// channelScores returns the score of each channel of a KV head.
func (c *Cache) channelScores(layer, head int) []float64 {
	rows := c.RowsOf(layer, head)
	scores := meanOfKeys(&rows, c.cfg.KeyDim)
	for i, q := range rows.list.queries.mean(c.cfg.KeyDim) {
		scores[i] *= q
	}
	return scores
}

// chooseChannels returns the channels that stay when so many go, those with the lowest scores; the higher one among equals.
func chooseChannels(scores []float64, pruned int) []int32 {
	order := make([]int32, len(scores))
	for c := range order {
		order[c] = int32(c)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(scores[b], scores[a]) })
	kept := order[:len(scores)-pruned]
	slices.Sort(kept)
	return slices.Clip(kept)
}

// Prunes reports whether keys of old rows lose channels.
func (e *Eviction) Prunes() bool { return e.think != nil && e.think.ratio > 0 }

// Queries is how many queries of a block are to be noted, the last ones: until channels have been chosen by them.
func (e *Eviction) Queries(c *Cache) int {
	if !e.Prunes() || c.chosen() {
		return 0
	}
	return thinkQueries
}

// chosen reports whether it has been chosen which channels keys keep.
func (c *Cache) chosen() bool { return c.lists[0].channels != nil }

// Note tells what the last queries of a block are that meet the rows of a KV head, those of the heads that share it: that of
// head h at position i begins at i·stride + h·keyDim. Different heads and layers may be told of at once.
func (c *Cache) Note(layer, head int, positions []int32, q []float32, stride, heads int) {
	a, dim := &c.list(layer, head).queries, c.cfg.KeyDim
	a.begin(dim)
	for i := max(0, len(positions)-thinkQueries); i < len(positions); i++ {
		at := len(a.squares)
		a.squares, a.positions = a.squares[:at+dim], append(a.positions, positions[i])
		sum := a.squares[at:]
		clear(sum)
		for h := range heads {
			for j, v := range q[i*stride+h*dim:][:dim] {
				sum[j] += float32(v * v)
			}
		}
		for j := range sum {
			sum[j] /= float32(heads)
		}
	}
}

// Old reports whether there are as many old rows as are pruned at a time, and queries to choose channels by.
func (e *Eviction) Old(c *Cache) bool {
	if !e.Prunes() || !c.chosen() && len(c.lists[0].queries.positions) == 0 {
		return false
	}
	for i := range c.lists {
		if c.lists[i].wide.rows-e.think.recent >= e.think.interval {
			return true
		}
	}
	return false
}

// Prune prunes the keys of a layer's old rows. Different layers may be worked on at once. When all are done, call Pruned.
func (e *Eviction) Prune(c *Cache, layer int) error {
	for h := range c.cfg.Heads {
		l := c.list(layer, h)
		if l.channels == nil {
			l.channels, l.queries = chooseChannels(c.channelScores(layer, h), c.cfg.Pruned), asked{}
		}
		if n := l.wide.rows - e.think.recent; n > 0 {
			if err := l.prune(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// Pruned notes that keys were pruned: what lies before the recent rows cannot be gone back to.
func (e *Eviction) Pruned(c *Cache) { c.pruned = max(c.pruned, c.seen-e.think.recent) }
