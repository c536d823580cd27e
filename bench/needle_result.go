package bench

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"time"
)

// NeedleResult is what a model found.
type NeedleResult struct {
	Cells []NeedleCell           // by length, then depth
	Types map[string]NeedleCount // over all cells
	// EffectiveContext is the largest length of which every cell, and every cell of all shorter ones, is answered; 0: none is.
	EffectiveContext int
	Pass             float64 // the share of right answers from which a cell is answered
	// Failures are the reasons for which texts could not be read, or questions about them not be answered, by length.
	Failures      []NeedleFailure
	BeyondTrained int // tokens that the longest text was longer than the model was trained for

	Resumed int // trials that the log had
	Tokens  int // of the texts that were read now, to the last answer
	Elapsed time.Duration
}

// TokensPerSecond is the speed of reading texts and answering.
func (r *NeedleResult) TokensPerSecond() float64 { return rate(r.Tokens, r.Elapsed) }

// NeedleCell is the texts of a length with what is asked for at a depth.
type NeedleCell struct {
	Length int     `json:"length"`
	Depth  float64 `json:"depth"`
	NeedleCount
	Failed int                    `json:"failed"` // questions that could not be answered, of those that are not right
	Types  map[string]NeedleCount `json:"types"`  // of those that have one
	Memory NeedleMemory           `json:"memory"` // the most of each, of any text
}

// NeedleCount counts questions.
type NeedleCount struct {
	Trials  int `json:"trials"`
	Correct int `json:"correct"`
}

func (c *NeedleCount) add(t *NeedleTrial) {
	c.Trials += t.Asked
	c.Correct += t.correct()
}

// Share is the share of the questions that were answered.
func (c NeedleCount) Share() float64 {
	if c.Trials == 0 {
		return 0
	}
	return float64(c.Correct) / float64(c.Trials)
}

// NeedleFailure is why texts of a length could not be read.
type NeedleFailure struct {
	Length  int    `json:"length"`
	Message string `json:"message"` // of the first; others may have other numbers in it
	Count   int    `json:"count"`   // texts
	// Questions is how many were not answered, of all about these texts: there may be answers to the first ones.
	Questions int `json:"questions"`
}

// result counts what came out.
func (r *needleRun) result() *NeedleResult {
	out := &NeedleResult{Pass: r.options.Pass, Types: map[string]NeedleCount{}, Elapsed: r.elapsed, Resumed: len(r.places) - len(r.todo)}
	for _, number := range r.todo {
		if t := r.trials[number]; t.Error == "" {
			out.Tokens += t.Length
		}
	}
	cells := map[placeKey]*NeedleCell{}
	for _, t := range r.trials {
		at := placeKey{length: t.Length, depth: t.Depth}
		if cells[at] == nil {
			cells[at] = &NeedleCell{Length: t.Length, Depth: t.Depth, Types: map[string]NeedleCount{}}
		}
		cells[at].count(t)
		if n := out.Types[t.Type]; t.Type != "" {
			n.add(t)
			out.Types[t.Type] = n
		}
		out.BeyondTrained = max(out.BeyondTrained, t.BeyondTrained)
	}
	for _, c := range slices.SortedFunc(maps.Values(cells), func(a, b *NeedleCell) int {
		return cmp.Or(cmp.Compare(a.Length, b.Length), cmp.Compare(a.Depth, b.Depth))
	}) {
		out.Cells = append(out.Cells, *c)
	}
	out.EffectiveContext = effectiveContext(out.Cells, r.options.Pass)
	out.Failures = failures(r.trials)
	return out
}

// count adds a trial to the cell.
func (c *NeedleCell) count(t *NeedleTrial) {
	c.add(t)
	if n := c.Types[t.Type]; t.Type != "" {
		n.add(t)
		c.Types[t.Type] = n
	}
	c.Failed += t.Asked - len(t.Answers)
	c.Memory = c.Memory.most(t.Memory)
}

func (m NeedleMemory) most(other NeedleMemory) NeedleMemory {
	return NeedleMemory{
		max(m.RowsKept, other.RowsKept), max(m.RowsSeen, other.RowsSeen), max(m.RowsEvicted, other.RowsEvicted),
		max(m.KVBytes, other.KVBytes), max(m.StateBytes, other.StateBytes),
	}
}

// effectiveContext is the largest length up to which every cell is answered, of cells by length.
func effectiveContext(cells []NeedleCell, pass float64) (length int) {
	for len(cells) > 0 {
		n := 0
		for ; n < len(cells) && cells[n].Length == cells[0].Length; n++ {
			if !answered(cells[n].Correct, cells[n].Trials, pass) {
				return length
			}
		}
		length, cells = cells[0].Length, cells[n:]
	}
	return length
}

// numbers are what may differ in messages that are otherwise the same: how much memory there was, at which token it happened.
var numbers = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)

// failures counts the reasons, in the order in which they first come up.
func failures(trials []*NeedleTrial) (list []NeedleFailure) {
	type reason struct {
		length  int
		message string
	}
	at := map[reason]int{}
	for _, t := range trials {
		if t.Error == "" {
			continue
		}
		key := reason{t.Length, numbers.ReplaceAllString(t.Error, "#")}
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, NeedleFailure{Length: t.Length, Message: t.Error})
		}
		list[i].Count++
		list[i].Questions += t.Asked - len(t.Answers)
	}
	return list
}
