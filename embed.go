package mneme

import (
	"context"
	"errors"
	"fmt"
	"math"

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
	s, err := m.net.NewSequence(model.SequenceOptions{Rows: quant.F16, Context: len(ids)})
	if err != nil {
		return nil, err
	}
	stop, end := stopWith(ctx)
	defer end()
	sum := make([]float64, m.net.Embedding)
	landmark, landmarks := s.Landmark()
	err = inBlocks(s, ids, 0, func(rows []model.Row) error {
		for i := range rows {
			rows[i].Logits = (rows[i].Position > 0 || len(ids) == 1) && !(landmarks && rows[i].Token == landmark)
		}
		return m.runner.Hidden(rows, stop, func(_ int, state []float32) {
			for j, v := range state {
				sum[j] += float64(v)
			}
		})
	})
	if err != nil {
		return nil, stopped(ctx, err)
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
