package mneme

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Embedder makes vectors of texts that are near each other where the texts are about the same.
type Embedder interface {
	// Embed returns the embedding of a text, of the same length for all. question is true for a question that is to be
	// compared with what was said, for models that want to be told.
	Embed(ctx context.Context, text string, question bool) ([]float32, error)
}

// embedTokens is the most tokens of a text that HiddenStates reads.
const embedTokens = 2048

// HiddenStates is the embedder that every model brings: the mean of its hidden states after the last layer, over all
// tokens but the first, on which models rest without regard to what it says. Questions and answers are treated alike.
func (m *Model) HiddenStates() Embedder { return hiddenStates{m} }

type hiddenStates struct{ model *Model }

func (h hiddenStates) Embed(ctx context.Context, text string, _ bool) ([]float32, error) {
	m := h.model
	if m.tokenizer == nil {
		return nil, fmt.Errorf("mneme: embedding of a text: %w", ErrNoTokenizer)
	}
	ids := m.tokenizer.Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
	if len(ids) == 0 {
		return nil, errors.New("mneme: embedding of an empty text")
	}
	ids = ids[:min(len(ids), embedTokens)]
	s, err := m.net.NewSequence(quant.F16, len(ids), nil)
	if err != nil {
		return nil, err
	}
	var stop atomic.Bool
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	}
	sum := make([]float64, m.net.Embedding)
	rows := make([]model.Row, 0, DefaultPrefillBlock)
	for first := 0; first < len(ids); first += len(rows) {
		rows = rows[:0]
		for i := first; i < min(first+DefaultPrefillBlock, len(ids)); i++ {
			rows = append(rows, model.Row{Token: ids[i], Position: int32(i), Sequence: s, Logits: i > 0 || len(ids) == 1})
		}
		err := m.runner.Hidden(rows, &stop, func(_ int, state []float32) {
			for j, v := range state {
				sum[j] += float64(v)
			}
		})
		if err != nil {
			return nil, stopped(ctx, err)
		}
	}
	return unit(sum)
}

// unit is the vector of length 1 in the direction of v.
func unit(v []float64) ([]float32, error) {
	var squares float64
	for _, x := range v {
		squares += x * x
	}
	length := math.Sqrt(squares)
	if !(length > 0) || math.IsInf(length, 0) {
		return nil, fmt.Errorf("mneme: an embedding of length %g", length)
	}
	u := make([]float32, len(v))
	for i, x := range v {
		u[i] = float32(x / length)
	}
	return u, nil
}
