package mneme

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/kvcache/episodic"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Sensitivity measures how much each layer suffers when a text is read in blocks that are forgotten: σ_ℓ, between −1 and 1,
// is the mean cosine between the layer's keys, as they are after RoPE, where the text is read with causal attention and where
// it is read under the mask (EpiCache, arXiv 2509.17396, layer sensitivity). window is the number of neighbouring tokens
// whose keys are compared as one vector: episodic.PerToken as in the paper, or episodic.ReleasedWindow as in its code. One
// text is enough for a model; it takes two passes over it, and memory for the keys and values of the whole in float32.
// progress, if it is not nil, is told how many tokens both passes together have read.
func (m *Model) Sensitivity(ctx context.Context, tokens []int32, mask episodic.BlockMask, window int, progress func(done, total int)) (*episodic.Profile, error) {
	if err := mask.Check(); err != nil {
		return nil, err
	}
	if len(tokens) <= mask.Window {
		return nil, fmt.Errorf("mneme: layer sensitivity: the text has %d tokens, and nothing is forgotten within a block of %d", len(tokens), mask.Window)
	}
	similarity, err := episodic.NewSensitivity(m.net.Layers, window)
	if err != nil {
		return nil, err
	}
	need, err := m.net.CacheConfig(quant.F32).Bytes(len(tokens) + 2*mask.Window + mask.Sinks)
	if err != nil {
		return nil, err
	}
	if err := refuse(need, "the keys and values of the text"); err != nil {
		return nil, err
	}
	p := &profiling{model: m, mask: mask, similarity: similarity, progress: progress}
	if err := p.run(ctx, tokens); err != nil {
		return nil, err
	}
	print, err := m.Fingerprint()
	if err != nil {
		return nil, err
	}
	profile := &episodic.Profile{Model: print, Sigma: similarity.Sigma(), Tokens: len(tokens), Window: window, Mask: mask}
	return profile, profile.Check()
}

// profiling is one measurement.
type profiling struct {
	model       *Model
	mask        episodic.BlockMask
	similarity  *episodic.Sensitivity
	full, block *model.Sequence
	progress    func(done, total int)
	done, total int
}

func (p *profiling) run(ctx context.Context, tokens []int32) (err error) {
	p.total = 2 * len(tokens)
	every, err := attention.NewMethod(attention.AllRows, 0) // whatever the model's is: rows go one by one
	if err != nil {
		return err
	}
	options := model.SequenceOptions{Rows: quant.F32, Context: len(tokens), Attention: every}
	if p.full, err = p.model.net.NewSequence(options); err != nil {
		return err
	}
	if p.block, err = p.model.net.NewSequence(options); err != nil {
		return err
	}
	stop, end := stopWith(ctx)
	defer end()
	for first := 0; first < len(tokens); first += p.mask.Window {
		end := min(first+p.mask.Window, len(tokens))
		for _, s := range []*model.Sequence{p.full, p.block} {
			if err := p.read(s, tokens[:end], first, stop); err != nil {
				return stopped(ctx, err)
			}
		}
		if err := p.compare(end - first); err != nil {
			return err
		}
		if err := p.forget(first, end); err != nil {
			return err
		}
	}
	return nil
}

// read has a sequence read a block, tokens from first on.
func (p *profiling) read(s *model.Sequence, tokens []int32, first int, stop *atomic.Bool) error {
	return inBlocks(s, tokens, first, func(rows []model.Row) error {
		if err := p.model.runner.Forward(rows, stop, nil); err != nil {
			return err
		}
		p.done += len(rows)
		if p.progress != nil {
			p.progress(p.done, p.total)
		}
		return nil
	})
}

// compare compares the keys of the last n tokens.
func (p *profiling) compare(n int) error {
	cfg := p.full.Cache.Config()
	for l := range cfg.Layers {
		for h := range cfg.Heads {
			if err := p.similarity.Add(l, lastKeys(p.full.Cache, l, h, n), lastKeys(p.block.Cache, l, h, n), cfg.KeyDim); err != nil {
				return fmt.Errorf("mneme: layer %d, head %d: %w", l, h, err)
			}
		}
	}
	return nil
}

// lastKeys are the keys of a head's last n rows, [n, keyDim].
func lastKeys(c *kvcache.Cache, layer, head, n int) []float32 {
	dim := c.Config().KeyDim
	list := make([]float32, n*dim)
	rows := c.RowsOf(layer, head)
	from := rows.Len() - n
	rows.Keys(func(first int, keys []float32) {
		lanes := len(keys) / dim
		for lane := range lanes {
			if r := first + lane - from; r >= 0 && r < n {
				for d := range dim {
					list[r*dim+d] = keys[d*lanes+lane]
				}
			}
		}
	})
	return list
}

// forget drops of the masked sequence what the next block does not see: all but the sinks and the end of the block
// [first, end).
func (p *profiling) forget(first, end int) error {
	c := p.block.Cache
	cfg := c.Config()
	overlap := end - int(p.mask.Overlap*float64(p.mask.Window))
	for l := range cfg.Layers {
		for h := range cfg.Heads {
			rows := c.RowsOf(l, h)
			var keep []int32
			for i := range rows.Len() {
				if pos := int(rows.Position(i)); pos < p.mask.Sinks || pos >= max(overlap, first) {
					keep = append(keep, int32(i))
				}
			}
			if err := c.Keep(l, h, keep); err != nil {
				return err
			}
		}
	}
	c.Evicted()
	return nil
}
