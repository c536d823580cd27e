package sample

import (
	"fmt"
	"math"
)

// LogProb returns ln softmax(logits)[id], the log probability of a token under the model, before any sampler. NaN
// logits count as −Inf, for which the result is −Inf; of several +Inf each has an equal share.
func LogProb(logits []float32, id int32) (float64, error) {
	if !inRow(id, logits) {
		return 0, fmt.Errorf("sample: token %d: there are %d logits", id, len(logits))
	}
	best := argmax(logits)
	if best < 0 {
		return 0, fmt.Errorf("sample: %w: every logit is NaN or -Inf", ErrNoToken)
	}
	if logits[id] != logits[id] {
		return math.Inf(-1), nil
	}
	greatest := logits[best]
	logSum := logPositive(sumExp(logits, greatest))
	if logits[id] == greatest {
		return -logSum, nil
	}
	return float64(logits[id]) - float64(greatest) - logSum, nil
}

// sumExp returns Σ e^(logit − greatest), in which those equal to the greatest count 1 each, +Inf too.
func sumExp(logits []float32, greatest float32) float64 {
	sum := 0.0
	// In two steps: a conversion directly before the exponential would make each wait for the one before on amd64,
	// where it keeps half of its register.
	var below [256]float64
	for len(logits) > 0 {
		n := 0
		for _, v := range logits[:min(len(logits), len(below))] {
			switch {
			case v < greatest:
				below[n] = float64(v) - float64(greatest)
				n++
			case v == greatest:
				sum++
			}
		}
		for _, x := range below[:n] {
			sum += expNegative(x)
		}
		logits = logits[min(len(logits), len(below)):]
	}
	return sum
}

// Argmax returns the id of the greatest logit, the lowest of several, ignoring NaN.
func Argmax(logits []float32) (int32, error) {
	id := argmax(logits)
	if id < 0 {
		return 0, fmt.Errorf("sample: %w: each of %d logits is NaN or -Inf", ErrNoToken, len(logits))
	}
	return id, nil
}

// Top returns the k greatest logits with their probabilities under the model, in order: fewer if fewer are above −Inf.
func Top(logits []float32, k int) ([]Candidate, error) {
	if k < 1 {
		return nil, fmt.Errorf("sample: top %d candidates, want at least 1", k)
	}
	var p pool
	if err := p.load(logits); err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	p.weigh()
	total := p.total
	p.top(k)
	if !p.sorted {
		sortCandidates(p.list)
	}
	for i := range p.list {
		p.list[i].Prob /= total
	}
	return p.list, nil
}
