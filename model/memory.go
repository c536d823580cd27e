package model

import (
	"encoding/binary"
	"fmt"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory"
)

// The kinds of learned memory.
const (
	MemoryNone   = "none"
	MemoryFifo   = "fifo"   // gated, first in first out: package memory/fifo
	MemoryNeural = "neural" // that of Titans: package memory/neural
)

// Memory is the kind of memory that the model was trained with.
func (c *Config) Memory() string {
	switch {
	case c.Fifo.Slots > 0:
		return MemoryFifo
	case len(c.Neural.Layers) > 0:
		return MemoryNeural
	}
	return MemoryNone
}

// MemoryBytes is the size of what a sequence has of the model's memory, whatever it has read.
func (m *Model) MemoryBytes() (bytes int64) {
	for i := range m.layers {
		switch l := &m.layers[i]; {
		case l.bank != nil:
			bytes += l.bank.Bytes()
		case l.neural != nil:
			bytes += m.neuralBytes(l.neural)
		}
	}
	return bytes
}

// Memories are what a sequence remembers: the state of each layer, nil where it has none.
type Memories []memory.State

// newMemories makes memories of nothing.
func (m *Model) newMemories() (list Memories) {
	if m.Memory() == MemoryNone {
		return nil
	}
	list = make(Memories, m.Layers)
	for i := range list {
		switch l := &m.layers[i]; {
		case l.bank != nil:
			list[i] = l.bank.NewBank()
		case l.neural != nil:
			list[i] = m.newNeural(l.neural)
		}
	}
	return list
}

func (x Memories) each(do func(memory.State)) {
	for _, s := range x {
		if s != nil {
			do(s)
		}
	}
}

// Bytes is their size.
func (x Memories) Bytes() (bytes int64) {
	x.each(func(s memory.State) { bytes += s.Bytes() })
	return bytes
}

// Clone returns a copy, which another sequence may go on from.
func (x Memories) Clone() Memories {
	if x == nil {
		return nil
	}
	list := make(Memories, len(x))
	for i, s := range x {
		if s != nil {
			list[i] = s.Clone()
		}
	}
	return list
}

// Save returns them as bytes: of each state the number of bytes as 32 bits, and memory.State.Save. These suffice: no kind of memory
// has a state of more than 2^28 values, and what VariantMAC retrieves for a segment is no more than mostRetrieved.
func (x Memories) Save() (data []byte) {
	x.each(func(s memory.State) {
		at := len(data)
		data = s.Save(append(data, 0, 0, 0, 0))
		binary.LittleEndian.PutUint32(data[at:], uint32(len(data)-at-4))
	})
	return data
}

// makeMemories gives a new sequence the memories that its model has.
func (s *Sequence) makeMemories(o SequenceOptions) error {
	if s.model.Fifo.fuses() {
		if o.Eviction != nil {
			return fmt.Errorf("model: policy %s drops rows, and a model with a memory of chunks needs those of its chunk, and no others", o.Eviction.Name())
		}
		if s.Attention != nil && (s.Attention.Index() != (kvcache.Index{}) || s.Attention.Chunked != nil) {
			return fmt.Errorf("model: attention %s: a model with a memory of chunks attends to its chunks", s.Attention.Name())
		}
	}
	if s.model.Neural.Variant == VariantMAC && o.Eviction != nil && o.Eviction.Needs().Packed {
		return fmt.Errorf("model: policy %s moves rows to other positions, and what a memory of variant %v retrieved for them stays at theirs: positions=text leaves them where they are",
			o.Eviction.Name(), VariantMAC)
	}
	if !o.NoMemory {
		s.memories = s.model.newMemories()
	}
	return nil
}

// MemoryBytes is the size of what the sequence has of its model's memory.
func (s *Sequence) MemoryBytes() int64 { return s.memories.Bytes() }

// Memory is the kind of memory that the sequence has: none if it does not read its model's.
func (s *Sequence) Memory() string {
	if s.memories == nil {
		return MemoryNone
	}
	return s.model.Memory()
}

// Memories are a copy of what the sequence remembers.
func (s *Sequence) Memories() Memories { return s.memories.Clone() }

// SaveMemories is Memories.Save of what the sequence remembers.
func (s *Sequence) SaveMemories() []byte { return s.memories.Save() }

// SetMemories makes the sequence remember what it did itself, or another one of the same model, which had read as much. The list is
// the sequence's from then on: what is to be used again is cloned first.
func (s *Sequence) SetMemories(list Memories) { s.memories = list }

// ReadMemories is the inverse of SaveMemories, for a sequence that has read so many rows.
func (s *Sequence) ReadMemories(data []byte, rows int) (Memories, error) {
	var list Memories
	if s.memories != nil {
		list = s.model.newMemories()
	}
	for i, state := range list {
		if state == nil {
			continue
		}
		if len(data) < 4 || uint64(len(data)-4) < uint64(binary.LittleEndian.Uint32(data)) {
			return nil, fmt.Errorf("model: the memory of layer %d is cut off", i)
		}
		n := int(binary.LittleEndian.Uint32(data))
		if err := state.Restore(data[4:4+n], rows); err != nil {
			return nil, fmt.Errorf("model: memory of layer %d: %w", i, err)
		}
		data = data[4+n:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("model: %d bytes behind the memories", len(data))
	}
	return list, nil
}

// Truncate takes the sequence back to its first n rows. It fails, and changes nothing, where rows are gone that it would then
// need (kvcache.ErrEvicted), or where its memories have learned from what comes after them (memory.ErrLearned); to the beginning
// it always goes back.
func (s *Sequence) Truncate(n int) error {
	back := s.Cache.Seen() - n
	if n > 0 && back > 0 {
		for _, state := range s.memories {
			if state != nil && back > state.Reach() {
				return fmt.Errorf("model: %d rows cannot be taken back to %d: %w", s.Cache.Seen(), n, memory.ErrLearned)
			}
		}
	}
	if err := s.Cache.Truncate(n); err != nil {
		return err
	}
	for _, state := range s.memories {
		switch {
		case state == nil:
		case n == 0:
			state.Reset()
		default:
			if err := state.Back(back); err != nil {
				return err
			}
		}
	}
	return nil
}
