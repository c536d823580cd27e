package fifo

import (
	"fmt"
	"math"
)

// Fusion weighs what three paths attend to: all of the chunk, the window within it, and the memory.
type Fusion struct {
	lambda      [][3]float32 // of each head
	renormalize bool
}

// NewFusion makes the weights λ = softmax over the three paths of the logits, which are [3] for all heads or [3, heads]. With
// renormalize the weights of the first two paths are divided by their sum as long as the bank is empty; without, the third path
// then adds zeros.
func NewFusion(logits []float32, heads int, renormalize bool) (*Fusion, error) {
	if heads < 1 || len(logits) != 3 && len(logits) != 3*heads {
		return nil, fmt.Errorf("fifo: %d fusion weights for three paths and %d heads", len(logits), heads)
	}
	f := &Fusion{lambda: make([][3]float32, heads), renormalize: renormalize}
	stride := len(logits) / 3
	for h := range f.lambda {
		var e [3]float64
		most := math.Inf(-1)
		for path := range e {
			e[path] = float64(logits[path*stride+h%stride])
			most = max(most, e[path])
		}
		if math.IsNaN(most) || math.IsInf(most, 0) {
			return nil, fmt.Errorf("fifo: fusion weights %v of head %d are not finite", e, h)
		}
		sum := 0.0
		for path := range e {
			e[path] = math.Exp(e[path] - most)
			sum += e[path]
		}
		for path := range e {
			f.lambda[h][path] = float32(e[path] / sum)
		}
	}
	return f, nil
}

// Lambda returns the weights of a head's paths.
func (f *Fusion) Lambda(head int) [3]float32 { return f.lambda[head] }

// Mix sets dst = λ1·full + λ2·windowed + λ3·memory for a head's outputs of a row. memory is nil where there is none to read, or
// the bank is empty. dst may be any of the others.
func (f *Fusion) Mix(dst, full, windowed, memory []float32, head int, empty bool) {
	l := f.lambda[head]
	if empty && f.renormalize {
		sum := l[0] + l[1]
		if sum > 0 {
			l[0], l[1] = l[0]/sum, l[1]/sum
		}
	}
	for i := range dst {
		mixed := float32(l[0]*full[i]) + float32(l[1]*windowed[i])
		if memory != nil && !empty {
			mixed += float32(l[2] * memory[i])
		}
		dst[i] = mixed
	}
}
