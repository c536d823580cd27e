package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Embedding returns the rows of a table [vocabulary, d] that ids [rows] name.
func (c Compute) Embedding(table, ids *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(embedding{c}, table, ids)
}

type embedding struct{ c Compute }

func (embedding) String() string { return "embedding" }

func (embedding) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 1); err != nil {
		return nil, err
	}
	return tensor.Shape{in[1][0], in[0][1]}, nil
}

func (embedding) run(out []float32, in []operand) error {
	vocab, d := in[0].shape[0], in[0].shape[1]
	for i, id := range in[1].ids {
		if id < 0 || id >= vocab {
			return fmt.Errorf("token %d of row %d: the table has %d", id, i, vocab)
		}
		copy(out[i*d:(i+1)*d], in[0].values[id*d:])
	}
	return nil
}

func (embedding) differentiable() []bool { return []bool{true, false} }

func (e embedding) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(embeddingToTable{c: e.c, vocab: in[0].Shape()[0]}, in[1], grad), nil)
}

// embeddingToTable adds the rows of grad to those of the table that they came from.
type embeddingToTable struct {
	terminal
	c     Compute
	vocab int
}

func (embeddingToTable) String() string { return "embedding to its table" }

func (e embeddingToTable) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{e.vocab, in[1][1]}, nil
}

func (e embeddingToTable) run(out []float32, in []operand) error {
	d := in[1].shape[1]
	clear(out)
	for i, id := range in[0].ids { // Embedding has run, so that ids are of the table
		e.c.Impl.Axpy(1, in[1].values[i*d:(i+1)*d], out[id*d:(id+1)*d])
	}
	return nil
}
