package kvcache

import (
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/internal/params"
)

// DefaultSinks is how many of the first rows every policy keeps unless it is told otherwise: attention sinks, on which
// models rest (Xiao et al. 2023).
const DefaultSinks = 4

// maxRows is more rows than a KV head can have: their positions ascend. Sums over heads of larger budgets might overflow.
const maxRows = math.MaxInt32

// Eviction keeps a cache within its budget by a policy, and prunes the keys of the rows that are left, if it is asked to.
type Eviction struct {
	name     string // as it was given, with its parameters
	kind     Kind
	policy   Policy // nil: every row is kept
	needs    Needs
	budget   []int // rows per KV head, for each layer; nil: there is none
	sinks    int
	recent   int
	interval int
	pooled   bool // the heads of a layer share its budget
	think    *think
}

// NewEviction makes a policy from its name and parameters, name:key=value,key=value, for the given budgets: rows per KV
// head, for each layer. All policies have the parameters
//
//	sinks=4              rows at the first positions, which are kept
//	recent=N             newest rows, which are kept
//	interval=N           rows to drop at a time while tokens are generated one by one; a sixteenth of the budget, 128 at most
//	heads=uniform|pair   every KV head keeps as many rows, or those of a layer share its budget
//	positions=packed|text  keys are rotated to positions without gaps, or to those in the text
//
// Behind a policy, +think:key=value has keys pruned (see ThinK, arXiv 2407.21018), with the parameters
//
//	ratio=0.4     share of the channels to prune
//	recent=32     newest rows, which keep all channels
//	interval=N    rows to prune at a time, at least; what fills a page with the recent ones: fewer free no memory
//
// full+think keeps every row, and has no budget.
func NewEviction(text string, budget []int) (*Eviction, error) {
	base, more, prunes, err := splitPolicy(text)
	if err != nil {
		return nil, err
	}
	e := &Eviction{name: text}
	if prunes {
		if e.think, err = parseThink(more); err != nil {
			return nil, err
		}
	}
	name, given, err := params.Parse(policyOwner, base)
	if err != nil {
		return nil, err
	}
	if name == Full {
		if err := given.Done(); err != nil {
			return nil, err
		}
		if !prunes {
			return nil, fmt.Errorf("kvcache: policy %s has nothing to choose", name)
		}
		if budget != nil {
			return nil, fmt.Errorf("kvcache: policy %s: a budget for a policy that keeps every row", text)
		}
		e.kind = Kind{Name: Full, Title: "every row"}
		return e, nil
	}
	if err := e.bound(name, given, budget); err != nil {
		return nil, err
	}
	return e, nil
}

// bound makes the policy that keeps the cache within a budget.
func (e *Eviction) bound(name string, given *Params, budget []int) error {
	kind, err := kindOf(name)
	if err != nil {
		return err
	}
	if len(budget) == 0 {
		return fmt.Errorf("kvcache: policy %s: no budget", name)
	}
	least := min(slices.Min(budget), maxRows)
	e.kind, e.policy = kind, kind.New(given, least)
	for _, rows := range budget {
		e.budget = append(e.budget, min(rows, maxRows))
	}
	e.needs = e.policy.Needs()
	e.sinks = given.Int("sinks", DefaultSinks, 0, math.MaxInt32)
	e.interval = given.Int("interval", max(1, min(PageRows, least/16)), 1, math.MaxInt32)
	if least <= e.sinks+e.interval {
		return fmt.Errorf("kvcache: policy %s: a budget of %d rows has no room beside %d sinks and the %d rows that are dropped at a time",
			name, least, e.sinks, e.interval)
	}
	most := least - e.sinks - e.interval
	e.recent = given.Int("recent", min(e.needs.Recent, most), 0, most)
	heads, positions := []string{"uniform", "pair"}, []string{"text", "packed"}
	if e.needs.Pooled {
		slices.Reverse(heads)
	}
	if e.needs.Packed {
		slices.Reverse(positions)
	}
	e.pooled = given.Word("heads", heads...) == "pair"
	e.needs.Packed = given.Word("positions", positions...) == "packed"
	if err := given.Done(); err != nil {
		return err
	}
	if e.Prunes() && e.needs.Packed {
		return fmt.Errorf("kvcache: policy %s: think prunes channels of keys as queries meet them, and keys at packed positions are stored before they are rotated: it needs positions=text", e.name)
	}
	return nil
}

// Name is the policy's name with the parameters that were given.
func (e *Eviction) Name() string { return e.name }

// Kind is the policy as users know it.
func (e *Eviction) Kind() Kind { return e.kind }

// Bounded reports whether there is a budget, beyond which rows are dropped.
func (e *Eviction) Bounded() bool { return e.policy != nil }

// Policy is the policy; nil if it keeps every row.
func (e *Eviction) Policy() Policy { return e.policy }

// Needs is what the policy wants to be told, with what the user changed of it.
func (e *Eviction) Needs() Needs { return e.needs }

// Budget is the number of rows per KV head that a layer keeps.
func (e *Eviction) Budget(layer int) int {
	if !e.Bounded() {
		return math.MaxInt
	}
	return e.budget[layer]
}

// MeanBudget is the mean of the layers' budgets, rounded up.
func (e *Eviction) MeanBudget() int {
	sum := 0
	for _, rows := range e.budget {
		sum += rows
	}
	return (sum + len(e.budget) - 1) / len(e.budget)
}

// Interval is how many rows per KV head are dropped at a time where tokens come one by one.
func (e *Eviction) Interval() int { return e.interval }

// Shape is that of a cache of the given one, with what the policy needs of it.
func (e *Eviction) Shape(cfg Config) (_ Config, err error) {
	cfg.Marks = e.needs.Marks
	if e.think != nil {
		cfg.Pruned, err = e.think.channels(cfg)
	}
	return cfg, err
}

// Bytes returns the most memory that a cache takes for rows on the way to so many tokens, of which up to block are read at
// a time, within its budget if there is one. Where heads share a layer's budget, each may have a page that is not full.
func (e *Eviction) Bytes(cfg Config, tokens, block int) (int64, error) {
	one, err := e.Shape(cfg)
	if err != nil {
		return 0, err
	}
	if _, _, err := one.rowBytes(); err != nil {
		return 0, err
	}
	one.Layers = 1
	budgets := e.budget
	if !e.Bounded() {
		budgets = slices.Repeat([]int{math.MaxInt}, cfg.Layers)
	}
	var sum int64
	for _, budget := range budgets {
		rows := min(tokens, add(budget, block))
		n, err := e.headBytes(one, rows, block)
		if err != nil {
			return 0, err
		}
		if n > math.MaxInt64-sum {
			return 0, fmt.Errorf("kvcache: %d rows in %d layers take more bytes than can be counted", rows, cfg.Layers)
		}
		sum += n
	}
	return sum, nil
}

// headBytes is the most that so many rows take, per KV head of a layer. Keys are wide until a block has been read. Pages of
// wide and of narrow keys may not be full, and while some make place for the others there is one of these more.
func (e *Eviction) headBytes(one Config, rows, block int) (int64, error) {
	if e.pooled {
		rows = add(rows, PageRows-1)
	}
	pages := pagesOf(rows)
	if one.Pruned == 0 {
		return one.pageBytes(rows, pages, 0)
	}
	wide := min(pages, pagesOf(add(e.think.recent+e.think.interval, block)))
	return one.pageBytes(rows, wide, pages-wide+2)
}

// add is the sum, or the largest number if that is less.
func add(a, b int) int { return a + min(b, math.MaxInt-a) }

// Over reports whether a cache with so many more rows would hold more than its budget in some layer.
func (e *Eviction) Over(c *Cache, more int) bool {
	if !e.Bounded() {
		return false
	}
	for l := range c.cfg.Layers {
		if e.excess(c, l, more) > 0 {
			return true
		}
	}
	return false
}

// excess is how many rows a layer has too many, over all its heads.
func (e *Eviction) excess(c *Cache, layer, more int) int {
	rows := 0
	for h := range c.cfg.Heads {
		rows += c.Len(layer, h) + more
	}
	return rows - c.cfg.Heads*e.budget[layer]
}

// Evict drops rows of a layer until there is room for so many more per KV head within its budget, and returns how many
// went. Different layers may be worked on at once. When all are done, call [Cache.Evicted].
func (e *Eviction) Evict(c *Cache, layer, room int) (dropped int, err error) {
	if !e.Bounded() || e.excess(c, layer, room) <= 0 {
		return 0, nil
	}
	l := e.layer(c, layer, room)
	e.policy.Score(l)
	for h, rows := range e.choose(l) {
		dropped += l.Heads[h].Len() - len(rows)
		if err := c.Keep(layer, h, rows); err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}

// layer is a layer as its policy sees it.
func (e *Eviction) layer(c *Cache, layer, room int) *Layer {
	heads := c.cfg.Heads
	l := &Layer{
		Index: layer, Heads: make([]Rows, heads), Scores: make([][]float32, heads),
		Budget: e.budget[layer], Target: max(e.budget[layer]-room, 0), Sinks: e.sinks, Recent: e.recent,
	}
	for h := range heads {
		l.Heads[h] = Rows{Layer: layer, Head: h, list: c.list(layer, h)}
		l.Scores[h] = make([]float32, l.Heads[h].Len())
	}
	return l
}

// MarkBytes is the memory of the marks of so many rows per KV head, of those that are held (see Cache.HoldMarks), and of
// queries by which channels are chosen.
func (e *Eviction) MarkBytes(cfg Config, rows int) int64 {
	head := 2 * 4 * int64(e.needs.Marks) * int64(rows)
	if e.Prunes() {
		head += askedBytes(cfg.KeyDim)
	}
	return head * int64(cfg.Layers) * int64(cfg.Heads)
}

// RowsOf is the rows of a layer and KV head, as a policy sees them.
func (c *Cache) RowsOf(layer, head int) Rows {
	return Rows{Layer: layer, Head: head, list: c.list(layer, head)}
}

// Surprise tells the policy −log p of tokens: of the rows from number first on (see [Cache.Append]).
func (e *Eviction) Surprise(c *Cache, first int, values []float32) {
	if !e.needs.Surprise {
		return
	}
	for i := range c.lists {
		l := &c.lists[i]
		at := l.rows() - (c.seen - first)
		for j, v := range values {
			if at+j >= 0 && at+j < l.rows() {
				l.marks[0][at+j] = v
			}
		}
	}
}

// EndTurn tells the policy that a turn of a conversation has ended.
func (e *Eviction) EndTurn(c *Cache) {
	t, ok := e.policy.(Turner)
	if !ok {
		return
	}
	for i := range c.lists {
		t.EndTurn(&Rows{Layer: i / c.cfg.Heads, Head: i % c.cfg.Heads, list: &c.lists[i]})
	}
}

// MostRows is the most rows that a KV head can have while blocks of so many are read. Where heads share a layer's budget,
// one of them may have nearly all of it.
func (e *Eviction) MostRows(heads, block int) int {
	if !e.Bounded() {
		return math.MaxInt
	}
	most := slices.Max(e.budget)
	if e.pooled {
		most *= heads
	}
	return most + block
}
