package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/mneme-lm/mneme/train/tales"
)

// AnswerWeight is what a token of an answer weighs in the loss; others weigh 1.
const AnswerWeight = 8

// Trainer takes steps with a model on texts of one length.
type Trainer struct {
	c             Compute
	m             *Model
	g             *graph
	vm            gorgonia.VM
	grads         gorgonia.Nodes
	values        [][]float32 // of the gradients
	sum           [][]float32 // of those of several batches
	texts, length int
}

// NewTrainer returns a trainer for so many texts of a length in each step.
func NewTrainer(c Compute, m *Model, texts, length int) (*Trainer, error) {
	g, err := m.build(c, texts, length, true)
	if err != nil {
		return nil, err
	}
	grads, err := gorgonia.Grad(g.loss, g.params...)
	if err != nil {
		return nil, fmt.Errorf("train: gradients of the model: %w", err)
	}
	return &Trainer{c: c, m: m, g: g, vm: gorgonia.NewTapeMachine(g.ExprGraph), grads: grads, texts: texts, length: length}, nil
}

// Close gives the graph back.
func (t *Trainer) Close() error { return t.vm.Close() }

// Gradients computes the loss of some documents and, in the order of the model's parameters, its gradients, which the next call
// overwrites.
func (t *Trainer) Gradients(documents []tales.Document) (loss float32, grads [][]float32, err error) {
	if err := t.g.take(documents, t.texts, t.length); err != nil {
		return 0, nil, err
	}
	t.vm.Reset()
	if err := t.vm.RunAll(); err != nil {
		return 0, nil, fmt.Errorf("train: %w", err)
	}
	loss, ok := t.g.loss.Value().Data().(float32)
	if !ok {
		return 0, nil, fmt.Errorf("train: the loss is a %T", t.g.loss.Value().Data())
	}
	t.values = t.values[:0]
	for i, g := range t.grads {
		v, ok := g.Value().Data().([]float32)
		if !ok {
			return 0, nil, fmt.Errorf("train: the gradient of %s is a %T", t.m.Params[i].Name, g.Value().Data())
		}
		t.values = append(t.values, v)
	}
	return loss, t.values, nil
}

// Step trains on the mean gradient of some batches at a learning rate. It returns their mean loss before it, and the gradient's
// length.
func (t *Trainer) Step(o *AdamW, rate float64, batches ...[]tales.Document) (loss float32, norm float64, err error) {
	var grads [][]float32
	share := 1 / float32(len(batches))
	for i, documents := range batches {
		l, g, err := t.Gradients(documents)
		if err != nil {
			return 0, 0, err
		}
		loss += share * l
		if len(batches) == 1 {
			grads = g
			break
		}
		grads = t.accumulate(g, i == 0, share)
	}
	norm, err = o.Step(t.c, t.m.Params, grads, rate)
	return loss, norm, err
}

// accumulate adds a share of gradients to the sum, which begins with the first ones.
func (t *Trainer) accumulate(grads [][]float32, first bool, share float32) [][]float32 {
	if t.sum == nil {
		for _, g := range grads {
			t.sum = append(t.sum, make([]float32, len(g)))
		}
	}
	for i, g := range grads {
		if first {
			clear(t.sum[i])
		}
		t.c.Impl.Axpy(share, g, t.sum[i])
	}
	return t.sum
}

// take makes documents the graph's input: every token is to predict the next.
func (g *graph) take(documents []tales.Document, texts, length int) error {
	if len(documents) != texts {
		return fmt.Errorf("train: %d documents, want %d", len(documents), texts)
	}
	for i, d := range documents {
		if len(d.Tokens) != length {
			return fmt.Errorf("train: document %d has %d tokens, want %d", i, len(d.Tokens), length)
		}
		tokens, targets, weights := g.tokens[i*length:][:length], g.targets[i*length:][:length], g.weights[i*length:][:length]
		copy(tokens, d.Tokens)
		copy(targets, d.Tokens[1:])
		targets[length-1] = 0
		for j := range weights {
			weights[j] = 1
		}
		weights[length-1] = 0
		for _, s := range d.Answers {
			if s.From < 1 || s.To > length {
				return fmt.Errorf("train: document %d of %d tokens has an answer at %v", i, length, s)
			}
			for j := s.From; j < s.To; j++ {
				weights[j-1] = AnswerWeight
			}
		}
	}
	return nil
}

// Examiner asks a model the questions of documents of one length.
type Examiner struct {
	m             *Model
	g             *graph
	vm            gorgonia.VM
	texts, length int
}

// NewExaminer returns an examiner that reads so many documents of a length at once.
func NewExaminer(c Compute, m *Model, texts, length int) (*Examiner, error) {
	g, err := m.build(c, texts, length, false)
	if err != nil {
		return nil, err
	}
	return &Examiner{m, g, gorgonia.NewTapeMachine(g.ExprGraph), texts, length}, nil
}

// Close gives the graph back.
func (e *Examiner) Close() error { return e.vm.Close() }

// Exact returns how many answers the documents have, and how many of these the model gives exactly: every token is
// the likeliest after those before it.
func (e *Examiner) Exact(documents []tales.Document) (right, asked int, err error) {
	if err := e.g.take(documents, e.texts, e.length); err != nil {
		return 0, 0, err
	}
	e.vm.Reset()
	if err := e.vm.RunAll(); err != nil {
		return 0, 0, fmt.Errorf("train: %w", err)
	}
	logits, ok := e.g.logits.Value().Data().([]float32)
	if !ok {
		return 0, 0, fmt.Errorf("train: logits are a %T", e.g.logits.Value().Data())
	}
	vocab := e.m.Shape.Vocabulary
	for i, d := range documents {
		for _, s := range d.Answers {
			asked++
			all := true
			for j := s.From; j < s.To; j++ {
				row := logits[(i*e.length+j-1)*vocab:][:vocab]
				all = all && largest(row) == d.Tokens[j]
			}
			if all {
				right++
			}
		}
	}
	return right, asked, nil
}

// largest returns the index of the largest value, −1 if there is none.
func largest(x []float32) int {
	at, most := -1, float32(math.Inf(-1))
	for i, v := range x {
		if v > most {
			at, most = i, v
		}
	}
	return at
}
