package sample

import (
	"fmt"
	"math"
	"slices"
)

// logitBias holds what is added to the logits of some tokens, by rising id.
type logitBias []tokenBias

type tokenBias struct {
	id   int32
	bias float32
}

func newLogitBias(byID map[int32]float32) (logitBias, error) {
	list := make(logitBias, 0, len(byID))
	for id, bias := range byID {
		if id < 0 {
			return nil, fmt.Errorf("logit_bias of token %d: an id is not negative", id)
		}
		if bias != bias {
			return nil, fmt.Errorf("logit_bias of token %d is NaN", id)
		}
		list = append(list, tokenBias{id, bias})
	}
	slices.SortFunc(list, func(a, b tokenBias) int { return int(a.id - b.id) })
	return list, nil
}

// apply adds the bias to the row: −Inf takes a token out, +Inf leaves no other in the running, and a finite bias
// changes only finite logits. A NaN stays one.
func (b logitBias) apply(p *pool) error {
	if len(b) == 0 {
		return nil
	}
	if last := b[len(b)-1].id; !inRow(last, p.row) {
		return fmt.Errorf("logit_bias of token %d: there are %d logits", last, len(p.row))
	}
	row := p.writable()
	for _, t := range b {
		switch v := row[t.id]; {
		case v != v:
		case !isFinite32(t.bias):
			row[t.id] = t.bias
		case isFinite32(v):
			row[t.id] = round32(float64(v) + float64(t.bias))
		}
	}
	return nil
}

// argmax returns the lowest id with the greatest logit, ignoring NaN, or -1 if every logit is NaN or −Inf.
func argmax(row []float32) int32 {
	best, id := float32(math.Inf(-1)), -1
	for i, v := range row {
		if v > best {
			best, id = v, i
		}
	}
	return int32(id)
}
