package mneme

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/memory"
	"github.com/mneme-lm/mneme/model"
)

// ErrLearned is wrapped where a text is to be taken back that a learned memory has read: what it learned cannot be undone, but
// by going back to the beginning or to a [Snapshot].
var ErrLearned = memory.ErrLearned

// MemoryKinds lists what WithMemory knows.
func MemoryKinds() []string {
	return []string{"auto", model.MemoryNone, model.MemoryFifo, model.MemoryNeural}
}

// remembers reports whether the session uses the memory of its model, if that has one.
func (o *sessionOptions) remembers(m *Model) (bool, error) {
	switch kind := m.net.Memory(); o.memory {
	case "", "auto", kind:
		return kind != model.MemoryNone, nil
	case model.MemoryNone:
		return false, nil
	default:
		if known := MemoryKinds(); !slices.Contains(known, o.memory) {
			return false, fmt.Errorf("mneme: there is no memory of kind %q (there is: %s)", o.memory, strings.Join(known, ", "))
		}
		return false, fmt.Errorf("mneme: the model has no memory of kind %s, but %s", o.memory, kind)
	}
}

// memoryName is the kind of memory that the session has, empty if it has none.
func (s *Session) memoryName() string {
	if kind := s.sequence.Memory(); kind != model.MemoryNone {
		return kind
	}
	return ""
}
