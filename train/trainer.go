package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/mneme-lm/mneme/train/tales"
)

// answerWeight is what a token of an answer weighs in the loss; others weigh 1.
const answerWeight = 8

// Trainer takes steps with a model on texts of one length.
type Trainer struct {
	c             Compute
	m             *Model
	g             *graph
	vm            gorgonia.VM
	grads         gorgonia.Nodes // nil for parameters that are not used
	values        [][]float32    // of the gradients
	sum           [][]float32    // of those of several batches
	texts, length int
}

// NewTrainer returns a trainer for so many texts of a length in each step.
func NewTrainer(c Compute, m *Model, texts, length int) (*Trainer, error) {
	g, err := m.build(c, texts, length)
	if err != nil {
		return nil, err
	}
	t := &Trainer{c: c, m: m, g: g, texts: texts, length: length}
	if err := t.differentiate(); err != nil {
		return nil, err
	}
	t.vm = gorgonia.NewTapeMachine(g.ExprGraph)
	return t, nil
}

// differentiate adds the gradients to the graph. A parameter that texts of this length have no use for, as those of a memory that
// has nothing to remember yet, has none.
func (t *Trainer) differentiate() error {
	var used gorgonia.Nodes
	t.grads, t.values = make(gorgonia.Nodes, len(t.g.params)), make([][]float32, len(t.g.params))
	for _, p := range t.g.params {
		if t.g.To(p.ID()).Len() > 0 {
			used = append(used, p)
		}
	}
	grads, err := gorgonia.Grad(t.g.loss, used...)
	if err != nil {
		return fmt.Errorf("train: gradients of the model: %w", err)
	}
	for i, p := range t.g.params {
		if len(used) > 0 && used[0] == p {
			t.grads[i], grads, used = grads[0], grads[1:], used[1:]
		}
	}
	return nil
}

// Close gives the graph back.
func (t *Trainer) Close() error { return t.vm.Close() }

// Gradients computes the loss of some documents and, in the order of the model's parameters, its gradients, which the next call
// overwrites. A parameter that is not used has none.
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
	for i, g := range t.grads {
		if g == nil {
			continue
		}
		if t.values[i], ok = g.Value().Data().([]float32); !ok {
			return 0, nil, fmt.Errorf("train: the gradient of %s is a %T", t.m.Params[i].Name, g.Value().Data())
		}
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
		t.sum = make([][]float32, len(grads))
	}
	for i, g := range grads {
		switch {
		case g == nil:
			continue
		case t.sum[i] == nil:
			t.sum[i] = make([]float32, len(g))
		case first:
			clear(t.sum[i])
		}
		t.c.Impl.Axpy(share, g, t.sum[i])
	}
	return t.sum
}

// take makes documents the graph's input: every token is to predict the next, whether or not a landmark is between them.
func (g *graph) take(documents []tales.Document, texts, length int) error {
	if len(documents) != texts {
		return fmt.Errorf("train: %d documents, want %d", len(documents), texts)
	}
	for i, d := range documents {
		if len(d.Tokens) != length {
			return fmt.Errorf("train: document %d has %d tokens, want %d", i, len(d.Tokens), length)
		}
		tokens, targets, weights := g.tokens[i*g.rows:][:g.rows], g.targets[i*g.rows:][:g.rows], g.weights[i*g.rows:][:g.rows]
		for j := range tokens { // of landmarks, as far as tokens of the document do not come here
			tokens[j], targets[j], weights[j] = g.landmark.Token, 0, 0
		}
		for j, id := range d.Tokens {
			at := g.landmark.row(j)
			if tokens[at] = id; j+1 < length {
				targets[at], weights[at] = d.Tokens[j+1], 1
			}
		}
		for _, s := range d.Answers {
			if s.From < 1 || s.To > length {
				return fmt.Errorf("train: document %d of %d tokens has an answer at %v", i, length, s)
			}
			for j := s.From; j < s.To; j++ {
				weights[g.landmark.row(j-1)] = answerWeight
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
	g, err := m.build(c, texts, length)
	if err != nil {
		return nil, err
	}
	return &Examiner{m, g, gorgonia.NewTapeMachine(g.ExprGraph), texts, length}, nil
}

// Close gives the graph back.
func (e *Examiner) Close() error { return e.vm.Close() }

// Marks are how a model has read some documents.
type Marks struct {
	Asked, Right int     // answers, and those that it gives exactly: every token is the likeliest after those before it
	Loss         float64 // mean of the batches', which weighs tokens as training does
	Documents    int
}

func (m *Marks) add(other Marks) {
	of, all := float64(other.Documents), float64(m.Documents+other.Documents)
	m.Loss += (other.Loss - m.Loss) * of / max(all, 1)
	m.Asked, m.Right, m.Documents = m.Asked+other.Asked, m.Right+other.Right, m.Documents+other.Documents
}

// Recall is the share of right answers, 0 if there are none.
func (m *Marks) Recall() float64 { return float64(m.Right) / float64(max(m.Asked, 1)) }

// Examine has the model read documents.
func (e *Examiner) Examine(documents []tales.Document) (marks Marks, err error) {
	if err := e.g.take(documents, e.texts, e.length); err != nil {
		return marks, err
	}
	e.vm.Reset()
	if err := e.vm.RunAll(); err != nil {
		return marks, fmt.Errorf("train: %w", err)
	}
	logits, ok := e.g.logits.Value().Data().([]float32)
	loss, alsoOK := e.g.loss.Value().Data().(float32)
	if !ok || !alsoOK {
		return marks, fmt.Errorf("train: logits are a %T, their loss a %T", e.g.logits.Value().Data(), e.g.loss.Value().Data())
	}
	marks.Loss, marks.Documents = float64(loss), len(documents)
	vocab := e.m.Shape.Vocabulary
	for i, d := range documents {
		for _, s := range d.Answers {
			all := true
			for j := s.From; j < s.To; j++ {
				row := logits[(i*e.g.rows+e.g.landmark.row(j-1))*vocab:][:vocab]
				all = all && largest(row) == d.Tokens[j]
			}
			marks.Asked++
			if all {
				marks.Right++
			}
		}
	}
	return marks, nil
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
