package kvcache

import "math"

// sirLLM keeps the tokens that surprised the model: those with the largest −log p, which the paper calls entropy (Yao et
// al. 2024, SirLLM). What it remembers of earlier turns of a conversation fades. Positions are those within the cache.
// Parameters:
//
//	entropy=N  how many rows stay for being surprising; the most recent ones fill up. By default all but sinks and recent
//	decay=1    what the surprise of all tokens is multiplied by when a turn ends
var sirLLM = Kind{
	Name: "sirllm", Title: "tokens that surprised the model", Paper: "SirLLM, arXiv 2405.12528",
	New: func(p *Params, _ int) Policy {
		return sirLLMPolicy{entropy: p.Int("entropy", math.MaxInt32, 0, math.MaxInt32), decay: float32(p.Float("decay", 1, 0, 1))}
	},
}

type sirLLMPolicy struct {
	entropy int
	decay   float32
}

func (sirLLMPolicy) Needs() Needs { return Needs{Packed: true, Surprise: true, Marks: 1} }

func (sirLLMPolicy) Observe(*Rows, *Query, []float32) {}

// EndTurn has memories fade.
func (s sirLLMPolicy) EndTurn(rows *Rows) {
	surprise := rows.Mark(0)
	for i, v := range surprise {
		surprise[i] = min(v, math.MaxFloat32) * s.decay
	}
}

// Score puts the most surprising rows, the newest of equals, before all others, which come by age. As in the authors'
// program, the room that is made comes off the surprising rows, and sinks count among these if they are surprising.
func (s sirLLMPolicy) Score(l *Layer) {
	entropy := min(s.entropy-(l.Budget-l.Target), l.Target-l.Sinks-l.Recent)
	for h := range l.Heads {
		var list []candidate
		for i, surprise := range l.Heads[h].Mark(0) {
			list = append(list, candidate{score: surprise, row: ^int32(i)})
			l.Scores[h][i] = float32(i)
		}
		best(list, entropy)
		for _, c := range list[:max(0, min(entropy, len(list)))] {
			l.Scores[h][^c.row] = math.MaxFloat32
		}
	}
}
