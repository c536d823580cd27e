package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// CrossEntropy returns Σ w·nll/Σ w over the rows of logits [rows, vocabulary], with the ids of the tokens that follow [rows], and
// the weights that these have in the loss [rows], which are not negative. A loss without weights is 0.
func (c Compute) CrossEntropy(logits, targets, weights *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(&crossEntropy{c: c}, logits, targets, weights)
}

type crossEntropy struct {
	c   Compute
	nll []float32
}

func (*crossEntropy) String() string { return "cross-entropy" }

func (*crossEntropy) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 1, 1); err != nil {
		return nil, err
	}
	if in[1][0] != in[0][0] || in[2][0] != in[0][0] {
		return nil, fmt.Errorf("%d rows of logits, %d targets, %d weights", in[0][0], in[1][0], in[2][0])
	}
	return nil, nil
}

func (l *crossEntropy) run(out []float32, in []operand) error {
	vocab, targets, weights := in[0].shape[1], in[1].ids, in[2].values
	for i, id := range targets {
		if id < 0 || id >= vocab {
			return fmt.Errorf("target %d of row %d: there are %d logits", id, i, vocab)
		}
	}
	if len(l.nll) == 0 {
		l.nll = make([]float32, len(targets))
	}
	err := l.c.each(len(targets), 32, func(w *kernels.Worker, from, to int) {
		x := w.Scratch.Floats(kernels.WholeGroups(vocab))
		for i := from; i < to; i++ {
			if l.nll[i] = 0; weights[i] != 0 {
				row := in[0].values[i*vocab : (i+1)*vocab]
				most, sum := exponentials(l.c, x, row)
				l.nll[i] = most + float32(math.Log(float64(sum))) - row[targets[i]]
			}
		}
	})
	if err != nil {
		return err
	}
	var sum, total float64
	for i, w := range weights {
		total += float64(w)
		sum += float64(w) * float64(l.nll[i])
	}
	if out[0] = 0; total > 0 {
		out[0] = float32(sum / total)
	}
	return nil
}

// exponentials makes x, which has room for whole groups, exp(row − most), and returns most, the largest of row, and the sum.
func exponentials(c Compute, x, row []float32) (most, sum float32) {
	for i := copy(x, row); i < len(x); i++ {
		x[i] = float32(math.Inf(-1))
	}
	return c.Impl.Softmax(x, 1, -math.MaxFloat32)
}

func (*crossEntropy) differentiable() []bool { return []bool{true, false, false} }

func (l *crossEntropy) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(crossEntropyToLogits{c: l.c}, in[0], in[1], in[2], grad), nil, nil)
}

// crossEntropyToLogits is grad·w/Σw·(softmax − one) in each row, with one 1 at the target and 0 elsewhere.
type crossEntropyToLogits struct {
	terminal
	c Compute
}

func (crossEntropyToLogits) String() string { return "cross-entropy to its logits" }

func (crossEntropyToLogits) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (l crossEntropyToLogits) run(out []float32, in []operand) error {
	vocab, targets, weights := in[0].shape[1], in[1].ids, in[2].values
	var total float64
	for _, w := range weights {
		total += float64(w)
	}
	return l.c.each(len(targets), 32, func(w *kernels.Worker, from, to int) {
		x := w.Scratch.Floats(kernels.WholeGroups(vocab))
		for i := from; i < to; i++ {
			row := out[i*vocab : (i+1)*vocab]
			if weights[i] == 0 {
				clear(row)
				continue
			}
			_, sum := exponentials(l.c, x, in[0].values[i*vocab:(i+1)*vocab])
			by := in[3].values[0] * float32(float64(weights[i])/total)
			for j := range row {
				row[j] = x[j] * (by / sum)
			}
			row[targets[i]] -= by
		}
	})
}
