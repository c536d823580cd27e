package model

import (
	"encoding/binary"
	"fmt"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory/fifo"
)

// NoMemory is the kind of memory of a model, or a sequence, that has none.
const NoMemory = "none"

// Memory is the kind of memory that the model was trained with.
func (m *Model) Memory() string {
	if m.Fifo.Slots > 0 {
		return "fifo"
	}
	return NoMemory
}

// MemoryBytes is the size of what a sequence has of the model's memory, whatever it has read.
func (m *Model) MemoryBytes() (bytes int64) {
	for i := range m.layers {
		if f := m.layers[i].fused; f != nil && f.memory != nil {
			bytes += f.memory.Bytes()
		}
	}
	return bytes
}

// Memories are the contents of a sequence's memory at one moment.
type Memories struct{ banks []*fifo.Bank }

// makeMemories gives a new sequence the banks that its model has.
func (s *Sequence) makeMemories(o SequenceOptions) error {
	m := s.model
	if m.Memory() == NoMemory {
		return nil
	}
	if o.Eviction != nil {
		return fmt.Errorf("model: policy %s drops rows, and a model with a memory of chunks needs those of its chunk, and no others", o.Eviction.Name())
	}
	if s.Attention != nil && (s.Attention.Index() != (kvcache.Index{}) || s.Attention.Chunked != nil) {
		return fmt.Errorf("model: attention %s: a model with a memory of chunks attends to its chunks", s.Attention.Name())
	}
	if !o.Forgetful {
		s.memories = m.emptyMemories()
	}
	return nil
}

func (m *Model) emptyMemories() []*fifo.Bank {
	banks := make([]*fifo.Bank, m.Layers)
	for _, i := range m.Fifo.Layers {
		banks[i] = m.layers[i].fused.memory.NewBank()
	}
	return banks
}

// MemoryBytes is the size of what the sequence has of its model's memory.
func (s *Sequence) MemoryBytes() int64 {
	if s.memories == nil {
		return 0
	}
	return s.model.MemoryBytes()
}

// Memory is the kind of memory that the sequence has: none if it does not read its model's.
func (s *Sequence) Memory() string {
	if s.memories == nil {
		return NoMemory
	}
	return s.model.Memory()
}

func (s *Sequence) eachMemory(f func(b *fifo.Bank)) {
	for _, b := range s.memories {
		if b != nil {
			f(b)
		}
	}
}

func (s *Sequence) holdMemories() { s.eachMemory((*fifo.Bank).Hold) }

func (s *Sequence) revertMemories(r *Runner) {
	s.eachMemory(func(b *fifo.Bank) { b.Revert(r.impl, r.bank) })
}

// Truncate takes the sequence back to its first n rows. It fails, and changes nothing, where rows are gone that it would then
// need, or chunks are summarized that it would be in.
func (s *Sequence) Truncate(n int) error {
	back := s.Cache.Seen() - n
	if n > 0 && back > 0 {
		for _, b := range s.memories {
			if b != nil && back > b.Rows() {
				return fmt.Errorf("model: %d rows cannot be taken back to %d: %w: %w", s.Cache.Seen(), n, fifo.ErrFolded, kvcache.ErrEvicted)
			}
		}
	}
	if err := s.Cache.Truncate(n); err != nil {
		return err
	}
	for _, b := range s.memories {
		switch {
		case b == nil:
		case n == 0:
			b.Reset()
		default:
			if err := b.Back(back); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bytes is the size of the memories.
func (x *Memories) Bytes() (bytes int64) {
	for _, b := range x.banks {
		if b != nil {
			bytes += b.Bytes()
		}
	}
	return bytes
}

// Memories are a copy of what the sequence remembers.
func (s *Sequence) Memories() *Memories { return &Memories{cloneBanks(s.memories)} }

// SetMemories makes the sequence remember what another one of the same model did, which had read as much.
func (s *Sequence) SetMemories(from *Memories) { s.memories = cloneBanks(from.banks) }

func cloneBanks(banks []*fifo.Bank) (list []*fifo.Bank) {
	for _, b := range banks {
		if b != nil {
			b = b.Clone()
		}
		list = append(list, b)
	}
	return list
}

// State is what they hold as bytes: for each layer with a memory, the number of bytes as 32 bits, and fifo.Bank.State.
func (x *Memories) State() (data []byte) {
	for _, b := range x.banks {
		if b != nil {
			at := len(data)
			data = b.State(append(data, 0, 0, 0, 0))
			binary.LittleEndian.PutUint32(data[at:], uint32(len(data)-at-4))
		}
	}
	return data
}

// ReadMemories is the inverse of Memories.State, for a sequence that has read so many rows.
func (r *Runner) ReadMemories(s *Sequence, data []byte, rows int) (*Memories, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := &Memories{}
	if s.memories != nil {
		x.banks = r.model.emptyMemories()
	}
	for i, b := range x.banks {
		if b == nil {
			continue
		}
		if len(data) < 4 || uint64(len(data)-4) < uint64(binary.LittleEndian.Uint32(data)) {
			return nil, fmt.Errorf("model: the memory of layer %d is cut off", i)
		}
		n := int(binary.LittleEndian.Uint32(data))
		if err := b.Restore(r.impl, data[4:4+n], r.bank); err != nil {
			return nil, fmt.Errorf("model: memory of layer %d: %w", i, err)
		}
		if !b.Holds(rows) {
			return nil, fmt.Errorf("model: the memory of layer %d has %d slots and %d rows of a chunk of %d, which is not what %d rows leave", i, b.Filled(), b.Rows(), b.Chunk, rows)
		}
		data = data[4+n:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("model: %d bytes behind the memories", len(data))
	}
	return x, nil
}
