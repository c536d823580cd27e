package model

import (
	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// maxPersistent is the most persistent tokens that metadata may ask for.
const maxPersistent = 1 << 12

// beside reports whether queries see rows beside those of the cache.
func (m *NeuralMemory) beside() bool { return m.Persistent > 0 || m.Variant == VariantMAC }

// persistent makes keys and values of the persistent tokens P of a layer (Behrouz, Zhong and Mirrokni 2024, equation 19), learned
// vectors [persistent, embedding] at the input of its attention that stand before every text, whatever window or chunk a query sees:
//
//	k = W_K·p + b_K,  v = W_V·p + b_V
//
// They are not rotated, and meet queries as those are before RoPE: their scores do not depend on where in a text a query stands. They are
// weights: no session stores them, and no cache counts them. They are worked out in float64, so that they are the same for all
// kernels.
func (l *loader) persistent(c *Config, i int, b *layer) *kvcache.Fixed {
	name := block(i, "mem_persistent.weight")
	tokens := l.values(name, c.Embedding, c.Neural.Persistent)
	if l.err != nil {
		return nil
	}
	keys, err := timesRows(&b.k, tokens)
	if err != nil {
		l.fail(name, "%w", err)
		return nil
	}
	values, err := timesRows(&b.v, tokens)
	if err != nil {
		l.fail(name, "%w", err)
		return nil
	}
	f := kvcache.NewFixed(c.KVHeads, c.KeyDim, c.ValueDim, c.Neural.Persistent)
	f.Append(make([]int32, c.Neural.Persistent)...) // all at position 0, which every query sees
	for r := range c.Neural.Persistent {
		for h := range c.KVHeads {
			if err := f.Put(h, r, row(keys, r*c.KVHeads+h, c.KeyDim), row(values, r*c.KVHeads+h, c.ValueDim)); err != nil {
				l.fail(name, "%w", err)
				return nil
			}
		}
	}
	return f
}

// timesRows multiplies a matrix by rows in float64: [rows of x, rows of w].
func timesRows(w *linear, x []float32) ([]float32, error) {
	n := len(x) / w.Cols
	out, row := make([]float32, n*w.Rows), make([]float32, w.Cols)
	for j := range w.Rows {
		if err := quant.Decode(w.Type, row, w.Row(j)); err != nil {
			return nil, err
		}
		for i := range n {
			var sum float64
			for d, v := range row {
				sum += float64(v) * float64(x[i*w.Cols+d])
			}
			if w.bias != nil {
				sum += float64(w.bias[j])
			}
			out[i*w.Rows+j] = float32(sum)
		}
	}
	return out, nil
}

// attendPersistent adds the persistent tokens of a layer to what a tile's queries have attended to.
func (p *pass) attendPersistent(l *layer, t tile, h int) {
	if l.neural == nil || l.neural.persistent == nil {
		return
	}
	m := p.model
	view := l.neural.persistent.View(h)
	p.attendBeside(l, t, h, p.plain[(t.first*m.Heads+h*m.Heads/m.KVHeads)*m.KeyDim:], &view)
}

// attendBeside adds rows beside those of the cache to what a tile's queries have attended to, which meet them as q.
func (p *pass) attendBeside(l *layer, t tile, h int, q []float32, view *kvcache.View) {
	queries, _ := p.queries(l, tile{first: t.first, rows: t.rows}, h)
	queries.Turn, queries.Q = nil, q
	p.params = attention.Params{Scale: p.model.AttentionScale, Softcap: p.model.AttentionSoftcap}
	attention.Add(p.impl, &queries, view, &p.params, p.attn)
}
