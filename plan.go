package mneme

import (
	"errors"
	"fmt"

	"github.com/mneme-lm/mneme/internal/sysmem"
)

// ErrMemory is wrapped when a text would need more memory than there is.
var ErrMemory = errors.New("not enough memory")

// Plan says what memory a text of a given length takes.
type Plan struct {
	WeightsBytes  int64 // the file's tensors, mapped
	RepackedBytes int64 // their copy, if the model was opened WithRepack; the system may then drop most of what is mapped
	KVBytes       int64 // keys and values of all tokens
	ScratchBytes  int64 // of the forward pass
	StateBytes    int64 // of learned memories
}

// Plan works out what a session with these options takes when it holds the given number of tokens.
func (m *Model) Plan(tokens int, opts ...SessionOption) (Plan, error) {
	o, err := newSessionOptions(opts)
	if err != nil {
		return Plan{}, err
	}
	kv, err := m.net.CacheConfig(o.rows).Bytes(tokens)
	if err != nil {
		return Plan{}, err
	}
	return Plan{
		WeightsBytes:  m.net.WeightBytes(),
		RepackedBytes: m.repacked,
		KVBytes:       kv,
		ScratchBytes:  m.net.ScratchBytes(min(o.block, max(tokens, 1)), 1, tokens, m.runner.Threads()),
	}, nil
}

// refuse returns an error if need more bytes would not fit into memory.
func refuse(need int64, what string) error {
	free, known := sysmem.Available()
	if known && need > free {
		return fmt.Errorf("mneme: %s takes %s, and %s are available: %w", what, mebibytes(need), mebibytes(free), ErrMemory)
	}
	return nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
