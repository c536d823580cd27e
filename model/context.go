package model

import (
	"fmt"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory"
	"github.com/mneme-lm/mneme/memory/neural"
)

// contextState is what a layer of VariantMAC remembers of a text: the memory's state and, of the unfinished segment, the keys and
// values of what was retrieved for its tokens. Those of a segment that a batch completes are there until the batch ends.
type contextState struct {
	*neural.State
	memory *neural.Memory
	rows   *kvcache.Fixed

	before   *kvcache.Fixed // memory for the segment after the one that was unfinished when the batch began
	rowsHeld int            // that there were then
	held     bool
	swapped  bool // whether the rows of then are in before
}

// newNeural makes the state of a layer that has seen nothing.
func (m *Model) newNeural(b *neuralLayer) memory.State {
	s := b.memory.NewState()
	if b.variant != VariantMAC {
		return s
	}
	rows := func() *kvcache.Fixed { return kvcache.NewFixed(m.KVHeads, m.KeyDim, m.ValueDim, m.Neural.Chunk) }
	return &contextState{State: s, memory: b.memory, rows: rows(), before: rows()}
}

// neuralBytes is the size of the state of a layer.
func (m *Model) neuralBytes(b *neuralLayer) int64 {
	bytes := b.memory.StateBytes()
	if b.variant == VariantMAC {
		bytes += 2 * kvcache.FixedBytes(m.KVHeads, m.KeyDim, m.ValueDim, m.Neural.Chunk)
	}
	return bytes
}

// Bytes is the size, whatever was read.
func (s *contextState) Bytes() int64 { return s.State.Bytes() + s.rows.Bytes() + s.before.Bytes() }

// Reset makes it as if nothing had been read.
func (s *contextState) Reset() {
	s.State.Reset()
	s.rows.Truncate(0)
	s.held = false
}

// Clone returns a state of its own with the same contents.
func (s *contextState) Clone() memory.State {
	return &contextState{State: s.State.Clone().(*neural.State), memory: s.memory, rows: s.rows.Clone(), before: s.before.Clone()}
}

// Hold has Revert go back to what the state is now, until Release.
func (s *contextState) Hold() {
	s.State.Hold()
	s.held, s.swapped, s.rowsHeld = true, false, s.rows.Rows()
}

// Release keeps what was read since Hold, but for the rows of a segment that is complete: no query meets them any more.
func (s *contextState) Release() {
	s.State.Release()
	s.held = false
	if s.rows.Rows() == s.memory.Chunk {
		s.rows.Truncate(0)
	}
}

// Revert takes back what was read since Hold.
func (s *contextState) Revert() {
	s.State.Revert()
	if !s.held {
		return
	}
	if s.swapped {
		s.rows, s.before = s.before, s.rows
	}
	s.rows.Truncate(s.rowsHeld)
	s.held = false
}

// append makes rows for what is retrieved for tokens of one segment, which begins anew with its first one.
func (s *contextState) append(batch []Row, tokens []int32) {
	for _, r := range tokens {
		position := batch[r].Position
		if int(position)%s.memory.Chunk == 0 {
			if s.held && !s.swapped && s.rowsHeld > 0 {
				s.rows, s.before, s.swapped = s.before, s.rows, true
			}
			s.rows.Truncate(0)
		}
		s.rows.Append(position)
	}
}

// Save appends what Restore makes it again.
func (s *contextState) Save(to []byte) []byte { return s.rows.Save(s.State.Save(to)) }

// Restore makes the state what it was when it was saved, after a text of so many rows. On an error it stays as it is.
func (s *contextState) Restore(saved []byte, rows int) error {
	n := int(min(s.memory.SavedBytes(), int64(len(saved))))
	if rows < 0 {
		return fmt.Errorf("model: a text of %d rows: %w", rows, neural.ErrState)
	}
	positions := make([]int32, rows%s.memory.Chunk)
	for i := range positions {
		positions[i] = int32(rows - len(positions) + i)
	}
	retrieved := s.rows.Clone()
	if err := retrieved.Restore(saved[n:], positions); err != nil {
		return fmt.Errorf("%w: %w", neural.ErrState, err)
	}
	if err := s.State.Restore(saved[:n], rows); err != nil {
		return err
	}
	s.rows, s.held = retrieved, false
	return nil
}
