package episodic

import (
	"fmt"
	"math"
)

const (
	// PerToken is the paper's window of Sensitivity: every key is compared by itself.
	PerToken = 1
	// ReleasedWindow is that of the authors' code.
	ReleasedWindow = 100
)

// Sensitivity accumulates σ of every layer, which is how much the layer's keys are the same, whether a text is read
// with causal attention or under a BlockMask (EpiCache, arXiv 2509.17396, layer sensitivity):
//
//	σ_ℓ = mean over heads and tokens of cos(K_full, K_block)
//
// The authors' code takes the keys of 100 consecutive tokens of a head for one vector, and the mean over heads and
// such windows. Neither method is safe for concurrent use.
type Sensitivity struct {
	window int
	sums   []float64 // [layers]: of cosines
	counts []int     // [layers]
}

// NewSensitivity returns an empty accumulator for so many layers, which compares windows of so many consecutive
// tokens: PerToken is the paper's measure, ReleasedWindow that of the authors' code.
func NewSensitivity(layers, window int) (*Sensitivity, error) {
	if layers < 1 {
		return nil, fmt.Errorf("episodic: sensitivity of %d layers: want at least 1", layers)
	}
	if window < 1 {
		return nil, fmt.Errorf("episodic: sensitivity over windows of %d tokens: want at least 1", window)
	}
	return &Sensitivity{window: window, sums: make([]float64, layers), counts: make([]int, layers)}, nil
}

// Add compares the keys of one head of a layer: full and block, [tokens, dim] both, after rotation. Windows begin
// with the first token given, and the last one may be shorter; a head that is given in several calls should come in
// whole windows. Keys of length 0 are like each other, with cosine 1, and unlike all else, with cosine 0.
//
// After an error, which is for a layer that there is not, shapes that do not fit, or a key that is not finite,
// nothing is added.
func (s *Sensitivity) Add(layer int, full, block []float32, dim int) error {
	switch {
	case layer < 0 || layer >= len(s.sums):
		return fmt.Errorf("episodic: sensitivity: there is no layer %d, the model has %d", layer, len(s.sums))
	case dim < 1 || len(full)%dim != 0:
		return fmt.Errorf("episodic: sensitivity of layer %d: %d numbers are no keys of %d", layer, len(full), dim)
	case len(block) != len(full):
		return fmt.Errorf("episodic: sensitivity of layer %d: %d numbers of full attention, %d of blocks",
			layer, len(full), len(block))
	}
	for _, keys := range [][]float32{full, block} {
		if i := notFinite(keys); i >= 0 {
			return fmt.Errorf("episodic: sensitivity of layer %d: the key of token %d is %v in dimension %d",
				layer, i/dim, keys[i], i%dim)
		}
	}
	width := len(full)
	if s.window < len(full)/dim {
		width = s.window * dim
	}
	for len(full) > 0 {
		n := min(width, len(full))
		s.sums[layer] += likeness(full[:n], block[:n])
		s.counts[layer]++
		full, block = full[n:], block[n:]
	}
	return nil
}

// likeness is the cosine, and 1 for two vectors of length 0.
func likeness(a, b []float32) float64 {
	if dot(a, a) == 0 && dot(b, b) == 0 {
		return 1
	}
	return cosine(a, b)
}

// Sigma returns σ of every layer, between -1 and 1; NaN for one that nothing was added to.
func (s *Sensitivity) Sigma() []float64 {
	sigma := make([]float64, len(s.sums))
	for l, sum := range s.sums {
		if s.counts[l] == 0 {
			sigma[l] = math.NaN()
			continue
		}
		sigma[l] = max(-1, min(1, sum/float64(s.counts[l])))
	}
	return sigma
}
