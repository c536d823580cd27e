package kvcache

import (
	"fmt"
	"math"
	"slices"
)

// DefaultSinks is how many of the first rows every policy keeps unless it is told otherwise: attention sinks, on which
// models rest (Xiao et al. 2023).
const DefaultSinks = 4

// maxRows is more rows than a KV head can have: their positions ascend. Sums over heads of larger budgets might overflow.
const maxRows = math.MaxInt32

// Eviction keeps a cache within its budget by a policy.
type Eviction struct {
	name     string // as it was given, with its parameters
	kind     Kind
	policy   Policy
	needs    Needs
	budget   []int // rows per KV head, for each layer
	sinks    int
	recent   int
	interval int
	pooled   bool // the heads of a layer share its budget
}

// NewEviction makes a policy from its name and parameters, name:key=value,key=value, for the given budgets: rows per KV
// head, for each layer. All policies have the parameters
//
//	sinks=4              rows at the first positions, which are kept
//	recent=N             newest rows, which are kept
//	interval=N           rows to drop at a time while tokens are generated one by one; a sixteenth of the budget, 128 at most
//	heads=uniform|pair   every KV head keeps as many rows, or those of a layer share its budget
//	positions=packed|text  keys are rotated to positions without gaps, or to those in the text
func NewEviction(text string, budget []int) (*Eviction, error) {
	name, params, err := parsePolicy(text)
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(name)
	if err != nil {
		return nil, err
	}
	return build(text, kind, params, budget)
}

func build(text string, kind Kind, params *Params, budget []int) (*Eviction, error) {
	if len(budget) == 0 {
		return nil, fmt.Errorf("kvcache: policy %s: no budget", kind.Name)
	}
	least := min(slices.Min(budget), maxRows)
	e := &Eviction{name: text, kind: kind, policy: kind.New(params, least)}
	for _, rows := range budget {
		e.budget = append(e.budget, min(rows, maxRows))
	}
	e.needs = e.policy.Needs()
	e.sinks = params.Int("sinks", DefaultSinks, 0, math.MaxInt32)
	e.interval = params.Int("interval", max(1, min(PageRows, least/16)), 1, math.MaxInt32)
	if least <= e.sinks+e.interval {
		return nil, fmt.Errorf("kvcache: policy %s: a budget of %d rows has no room beside %d sinks and the %d rows that are dropped at a time",
			kind.Name, least, e.sinks, e.interval)
	}
	most := least - e.sinks - e.interval
	e.recent = params.Int("recent", min(e.needs.Recent, most), 0, most)
	heads, positions := []string{"uniform", "pair"}, []string{"text", "packed"}
	if e.needs.Pooled {
		slices.Reverse(heads)
	}
	if e.needs.Packed {
		slices.Reverse(positions)
	}
	e.pooled = params.Word("heads", heads...) == "pair"
	e.needs.Packed = params.Word("positions", positions...) == "packed"
	return e, params.done()
}

// Name is the policy's name with the parameters that were given.
func (e *Eviction) Name() string { return e.name }

// Kind is the policy as users know it.
func (e *Eviction) Kind() Kind { return e.kind }

// Policy is the policy.
func (e *Eviction) Policy() Policy { return e.policy }

// Needs is what the policy wants to be told, with what the user changed of it.
func (e *Eviction) Needs() Needs { return e.needs }

// Budget is the number of rows per KV head that a layer keeps.
func (e *Eviction) Budget(layer int) int { return e.budget[layer] }

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

// Bytes returns the most memory that a cache takes for rows within its budget and a block of so many. Where heads share a
// layer's budget, each may have a page that is not full.
func (e *Eviction) Bytes(cfg Config, block int) (int64, error) {
	one := cfg
	one.Layers = 1
	var sum int64
	for _, rows := range e.budget {
		if e.pooled {
			rows += min(PageRows-1, math.MaxInt-rows)
		}
		n, err := one.Bytes(rows + min(block, math.MaxInt-rows))
		if err != nil || n > math.MaxInt64-sum {
			return 0, fmt.Errorf("kvcache: %d rows take more bytes than can be counted", rows)
		}
		sum += n
	}
	return sum, nil
}

// Over reports whether a cache with so many more rows would hold more than its budget in some layer.
func (e *Eviction) Over(c *Cache, more int) bool {
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
	if e.excess(c, layer, room) <= 0 {
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

// MarkBytes is the memory of the marks of so many rows per KV head, and of those that are held (see Cache.HoldMarks).
func (e *Eviction) MarkBytes(cfg Config, rows int) int64 {
	return 2 * 4 * int64(e.needs.Marks) * int64(cfg.Layers) * int64(cfg.Heads) * int64(rows)
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
		at := l.rows - (c.seen - first)
		for j, v := range values {
			if at+j >= 0 && at+j < l.rows {
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
	most := slices.Max(e.budget)
	if e.pooled {
		most *= heads
	}
	return most + block
}
