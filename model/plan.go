package model

import (
	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// WeightBytes is the size of the model's tensors as they are stored.
func (m *Model) WeightBytes() int64 { return m.bytes }

// ScratchBytes is the memory that a forward pass over a batch of rows takes, if logits of them ask for their logits and
// the cache then holds so many rows: what scratch.resize allocates, and each thread for its pieces of products.
func (m *Model) ScratchBytes(rows, logits, cached, threads int) int64 {
	paths := rows * max(1, m.ExpertsUsed)
	floats := rows*(2*m.Embedding+m.Heads*m.KeyDim+m.KVHeads*(m.KeyDim+m.ValueDim)+m.Rope.Dimensions) +
		2*threads*(m.FeedForward+rows*matrixGrain) + logits*m.Vocabulary
	learns, activations := len(m.Neural.Layers) > 0, int64(0)
	if m.Fifo.Slots > 0 {
		floats += threads * m.Fifo.ScratchValues(rows)
		if m.Fifo.fuses() {
			floats += 2 * rows * m.Heads * m.ValueDim
		} else {
			activations += kernels.ActivationBytes(rows, m.Fifo.Width(), m.forms)
		}
	}
	if learns {
		width := m.Neural.Heads * m.Neural.Dim
		floats += rows*(4*width+3*m.Neural.Heads) + threads*m.Neural.ScratchValues(rows)
		if m.Neural.Variant.gates() {
			floats += rows * m.Embedding
		}
		if m.Neural.Variant == VariantMAC {
			floats += rows * (4*width + 3*m.Neural.Heads + m.KVHeads*(m.KeyDim+m.ValueDim) + m.Embedding + 2)
			activations += kernels.ActivationBytes(rows, m.Embedding, m.forms)
		}
		if m.Neural.Persistent > 0 {
			floats += rows * m.Heads * m.KeyDim
		}
		if m.Neural.beside() {
			floats += 2 * rows * m.Heads
		}
	}
	if m.Experts > 0 {
		floats += rows*m.Experts + paths*(5+m.Embedding) + m.Experts + 1
	}
	bytes := 4 * int64(floats)
	if learns {
		bytes += kernels.ActivationBytes(rows, m.Neural.Heads*m.Neural.Dim, m.forms)
	}
	return bytes + activations + attendingBytes(m, rows, cached, threads) +
		kernels.ActivationBytes(rows, m.Embedding, m.forms) +
		kernels.ActivationBytes(rows, m.Heads*m.ValueDim, m.forms) +
		kernels.ActivationBytes(paths, m.FeedForward, m.forms) +
		kernels.ActivationBytes(logits, m.Embedding, m.forms)
}

// Shape is the shape of the cache of a sequence that attends by a method, nil: as the model says, and the most rows that it has
// while so many tokens are read, block tokens at a time, by a sequence that has no policy.
func (m *Model) Shape(rows quant.Type, asked *attention.Method, tokens, block int) (kvcache.Config, int, error) {
	cfg := m.CacheConfig(rows)
	method, err := m.method(asked)
	if err != nil {
		return cfg, tokens, err
	}
	if method == nil {
		cfg.Local = m.local()
		return cfg, cfg.Local.MostRows(tokens, block), nil
	}
	cfg.Index = method.Index()
	if method.Landmarks != nil {
		tokens = method.Landmarks.MostRows(tokens, block)
	}
	return cfg, tokens, nil
}

// PolicyBytes is the memory that a forward pass takes beside that for a policy, with so many rows in the cache: for the
// angles of keys that are stored before RoPE, and for the scores that it observes in decoding.
func (m *Model) PolicyBytes(e *kvcache.Eviction, rows int) (bytes int64) {
	needs := e.Needs()
	if needs.Packed {
		bytes += 8 * int64(m.Rope.Dimensions/2) * int64(turnColumns(rows))
	}
	if needs.Queries > 0 {
		bytes += 4 * int64(m.Heads) * int64(kernels.WholeGroups(rows))
	}
	return bytes
}

// ChoiceBytes is the memory in which the threads choose blocks of so many rows for a tile of queries.
func (m *Model) ChoiceBytes(r *attention.Retrieval, rows, threads int) int64 {
	queries := m.tileRows() * m.Heads / m.KVHeads
	return 4 * int64(threads) * int64(queries) * int64(r.Candidates(rows)) * 5 / 4
}
