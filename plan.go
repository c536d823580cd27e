package mneme

import (
	"errors"
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/internal/sysmem"
	"github.com/mneme-lm/mneme/kvcache"
)

// ErrMemory is wrapped when a text would need more memory than there is.
var ErrMemory = errors.New("not enough memory")

// Plan says what memory a text of a given length takes.
type Plan struct {
	WeightsBytes  int64 // the file's tensors, mapped
	RepackedBytes int64 // their copy, if the model was opened WithRepack; the system may then drop most of what is mapped
	KVBytes       int64 // keys and values of all tokens
	StoreBytes    int64 // the same, where they lie in a file (WithKVStore): no memory
	ScratchBytes  int64 // of the forward pass
	StateBytes    int64 // of learned memories, of what a policy remembers of rows, and of the summaries of blocks
}

// Plan works out what a session with these options takes when it holds the given number of tokens.
func (m *Model) Plan(tokens int, opts ...SessionOption) (Plan, error) {
	o, err := newSessionOptions(opts)
	if err != nil {
		return Plan{}, err
	}
	e, err := o.eviction(m)
	if err != nil {
		return Plan{}, err
	}
	method, err := o.method()
	if err != nil {
		return Plan{}, err
	}
	cfg, rows, err := m.net.Shape(o.rows, method, tokens, o.block)
	if err != nil {
		return Plan{}, err
	}
	if e != nil && cfg.Local != (kvcache.Local{}) { // a policy chooses from all rows
		cfg.Local, rows = kvcache.Local{}, tokens
	}
	kv, err := m.keyValueBytes(&o, e, rows)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{WeightsBytes: m.net.WeightBytes(), RepackedBytes: m.repacked, KVBytes: kv}
	if o.store != "" {
		p.KVBytes, p.StoreBytes = 0, kv
	}
	if p.StateBytes, err = cfg.IndexBytes(rows); err != nil {
		return Plan{}, err
	}
	remembers, err := o.remembers(m)
	if err != nil {
		return Plan{}, err
	}
	if remembers {
		p.StateBytes += m.net.MemoryBytes()
	}
	block, logits := min(o.block, max(tokens, 1)), 1
	if e != nil {
		rows = min(rows, e.MostRows(m.net.KVHeads, block))
		p.StateBytes += e.MarkBytes(cfg, rows)
		if needs := e.Needs(); needs.Surprise {
			block = min(block, m.logitsBlock(block))
			logits = block
		}
		p.ScratchBytes += m.net.PolicyBytes(e, rows)
		if e.Prunes() {
			rows += kvcache.PageRows // pages of old rows and of others, not all of them full
		}
	}
	if method != nil && method.Retrieval != nil {
		p.ScratchBytes += m.net.ChoiceBytes(method.Retrieval, rows, m.runner.Threads())
	}
	if method != nil && method.Retrieval != nil && tokens > method.Retrieval.Rows { // blocks may be smaller than pages
		rows = max(rows, method.Retrieval.MostSpans(method.Retrieval.Unsealed(block))*kvcache.PageRows)
	}
	if cfg.Local != (kvcache.Local{}) { // rows that are gone count where softmaxes start anew
		rows = min(tokens, rows+(attention.SegmentSpans-1)*kvcache.PageRows)
	}
	p.ScratchBytes += m.net.ScratchBytes(block, logits, rows, m.runner.Threads())
	return p, nil
}

// keyValueBytes is the most that a session's cache takes on its way to so many rows.
func (m *Model) keyValueBytes(o *sessionOptions, e *kvcache.Eviction, rows int) (int64, error) {
	cfg := m.net.CacheConfig(o.rows)
	if e == nil {
		return cfg.Bytes(rows)
	}
	return e.Bytes(cfg, rows, o.block)
}

// sessionBytes is what a session takes that holds what was planned for.
func (p *Plan) sessionBytes() int64 { return sum(p.KVBytes, p.StateBytes) }

// sum is a + b, of numbers that are not negative, or the largest number where that is more.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// available is how much memory there is to spare, if that is known.
var available = sysmem.Available

// refuse returns an error if need more bytes would not fit into memory.
func refuse(need int64, what string) error {
	free, known := available()
	if known && need > free {
		return fmt.Errorf("mneme: %s takes %s, and %s are available: %w", what, mebibytes(need), mebibytes(free), ErrMemory)
	}
	return nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
