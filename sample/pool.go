package sample

import (
	"errors"
	"fmt"
	"math"
)

// pool holds the tokens that are still in the running. It begins as a row of logits, indexed by id, and becomes a list
// when tokens are dropped or weighed; the usual chain, whose top_k comes first, never lists the whole vocabulary.
//
// Its buffers are kept from one row to the next, so a warm pool does not allocate.
type pool struct {
	row    []float32 // by id; the caller's until the first change, then own
	own    []float32 // buffer for row
	owned  bool      // row is own
	listed bool      // list holds the tokens, row is of no use any more

	list    []Candidate // no NaN, no −Inf; Prob is the weight if weighed
	sorted  bool        // list is in order
	weighed bool        // Prob = e^(Logit − shift), total is their sum in the order of the list
	shift   float64
	total   float64

	spare []Candidate // scratch
	marks []int32     // scratch by id, all zero between uses
}

// load begins with a new row. It fails if the row is no vocabulary; that its logits are usable is for check.
func (p *pool) load(logits []float32) error {
	if len(logits) == 0 {
		return errors.New("no logits")
	}
	if len(logits) > math.MaxInt32 {
		return fmt.Errorf("%d logits are more than ids can number", len(logits))
	}
	p.row, p.owned, p.listed = logits, false, false
	p.list, p.sorted, p.weighed = p.list[:0], false, false
	return nil
}

// check fails if no token of the row can be chosen.
func (p *pool) check() error {
	nan := 0
	for _, v := range p.row {
		if v > float32(math.Inf(-1)) {
			return nil
		}
		if v != v {
			nan++
		}
	}
	return fmt.Errorf("%w: of %d logits %d are NaN and %d are -Inf", ErrNoToken, len(p.row), nan, len(p.row)-nan)
}

// writable returns the row for changes.
func (p *pool) writable() []float32 {
	if !p.owned {
		p.own = append(p.own[:0], p.row...)
		p.row, p.owned = p.own, true
	}
	return p.row
}

// counters returns a zeroed number per id, to be zeroed again by adjust.
func (p *pool) counters() []int32 {
	if len(p.marks) < len(p.row) {
		p.marks = make([]int32, len(p.row))
	}
	return p.marks[:len(p.row)]
}

// adjust replaces the finite logit of every token whose mark is not zero by f(logit, mark), rounded to float32, and
// clears the marks. Only tokens of the window may be marked.
func (p *pool) adjust(window []int32, f func(logit float64, mark int32) float64) {
	marks := p.counters()
	if p.listed {
		for i := range p.list {
			c := &p.list[i]
			if mark := marks[c.ID]; mark != 0 && !math.IsInf(c.Logit, 0) {
				c.Logit = float64(round32(f(c.Logit, mark)))
			}
		}
		p.sorted, p.weighed = false, false
	}
	for _, id := range window {
		if !inRow(id, p.row) || marks[id] == 0 {
			continue
		}
		if row := p.row; !p.listed && isFinite32(row[id]) {
			row = p.writable()
			row[id] = round32(f(float64(row[id]), marks[id]))
		}
		marks[id] = 0
	}
}

func inRow(id int32, row []float32) bool { return id >= 0 && int(id) < len(row) }

func isFinite32(v float32) bool { return v-v == 0 }

// round32 rounds to float32, and to the greatest finite one where the number is greater: a penalty makes a token
// improbable, never impossible.
func round32(x float64) float32 {
	return float32(max(-math.MaxFloat32, min(math.MaxFloat32, x)))
}

// enlist turns the row into a list.
func (p *pool) enlist() {
	if p.listed {
		return
	}
	p.listed = true
	p.list = reserve(p.list, len(p.row))
	for id, v := range p.row {
		if v > float32(math.Inf(-1)) {
			p.list = append(p.list, Candidate{ID: int32(id), Logit: float64(v)})
		}
	}
}

// reserve returns an empty list with room for n.
func reserve(list []Candidate, n int) []Candidate {
	if cap(list) < n {
		return make([]Candidate, 0, n)
	}
	return list[:0]
}

// greatest returns the greatest logit.
func (p *pool) greatest() float64 {
	if !p.listed {
		best := float32(math.Inf(-1))
		for _, v := range p.row {
			if v > best {
				best = v
			}
		}
		return float64(best)
	}
	if p.sorted {
		return p.list[0].Logit
	}
	best := math.Inf(-1)
	for i := range p.list {
		if logit := p.list[i].Logit; logit > best {
			best = logit
		}
	}
	return best
}

// weigh sets every candidate's weight, e^(logit − greatest logit).
func (p *pool) weigh() {
	if p.weighed {
		return
	}
	p.enlist()
	p.shift = p.greatest()
	if math.IsInf(p.shift, 1) {
		p.keepInfinite()
	}
	p.total = 0
	for i := range p.list {
		c := &p.list[i]
		c.Prob = expNegative(c.Logit - p.shift)
		p.total += c.Prob
	}
	p.weighed = true
}

// keepInfinite drops every token whose logit is not +Inf and makes the others equal.
func (p *pool) keepInfinite() {
	p.cut(math.Inf(1), 1)
	for i := range p.list {
		p.list[i].Logit = 0
	}
	p.shift = 0
}

// meanDistance returns the mean, by weight, of how far logits lie below shift: with Z the total weight,
// Σ p·(shift − logit) = entropy − ln Z, since −ln p = ln Z + shift − logit.
func (p *pool) meanDistance() float64 {
	sum := 0.0
	for i := range p.list {
		c := &p.list[i]
		sum += float64(c.Prob * (p.shift - c.Logit))
	}
	return sum / p.total
}
