package fifo

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory"
)

// Bank is the memory of a layer in one session: the slots, and the rows of the chunk that the text is in. A complete chunk is
// folded into the slots when the first row of the next one comes, so that a text may be taken back to where its last row's
// chunk begins. A bank belongs to one text: what one session wrote no other may read.
type Bank struct {
	*Layer
	state
	keys, values []float32 // [Slots, Width] of the slots; nil where they are read as they are
	stale        bool      // keys and values are not those of the slots

	shadow state // what was there when Hold was called, as far as it was overwritten since
	held   bool
	copied bool // the shadow has slots and rows
}

// state is what a bank remembers. Slots are a ring of groups of PerChunk.
type state struct {
	slots  []float32 // [Slots, Dim]
	rows   []float32 // [Chunk, Dim] normed for pooling
	count  int       // rows of the chunk so far
	filled int       // groups that were written
	next   int       // the group that will be written next: the oldest one, once all are filled
}

// NewBank makes an empty bank.
func (l *Layer) NewBank() *Bank {
	b := &Bank{Layer: l, state: l.newState(), shadow: l.newState()}
	if l.Key != nil {
		b.keys, b.values = make([]float32, l.Slots*l.Width()), make([]float32, l.Slots*l.Width())
	}
	return b
}

func (c *Config) newState() state {
	return state{slots: make([]float32, c.Slots*c.Dim), rows: make([]float32, c.Chunk*c.Dim)}
}

// Bytes is the size of a bank, which does not depend on how much it was given.
func (l *Layer) Bytes() int64 {
	values := l.values()
	if l.Key == nil {
		values -= 2 * int64(l.Slots) * int64(l.Width())
	}
	return 4 * values
}

func (s *state) set(from *state) {
	copy(s.slots, from.slots)
	copy(s.rows, from.rows)
	s.count, s.filled, s.next = from.count, from.filled, from.next
}

// Clone makes a bank with the same contents.
func (b *Bank) Clone() memory.State {
	c := b.NewBank()
	c.state.set(&b.state)
	copy(c.keys, b.keys)
	copy(c.values, b.values)
	c.stale = b.stale
	return c
}

// Filled is the number of slots that hold something.
func (b *Bank) Filled() int { return b.filled * b.PerChunk }

// Reach is the number of rows of the chunk that the text is in: the chunks before it are summaries.
func (b *Bank) Reach() int { return b.count }

// Room is how many rows may be read for and written before Advance is called again.
func (b *Bank) Room() int { return b.Chunk - b.count }

// Reset empties the bank.
func (b *Bank) Reset() { b.count, b.filled, b.next, b.held = 0, 0, 0, false }

// Back takes the last n rows back, at most Reach.
func (b *Bank) Back(n int) error {
	if n < 0 || n > b.count {
		return fmt.Errorf("fifo: %d rows back, of which %d are in the chunk: %w", n, b.count, memory.ErrLearned)
	}
	b.count -= n
	return nil
}

// Hold has Revert go back to what the bank holds now.
func (b *Bank) Hold() {
	b.held, b.copied = true, false
	b.shadow.count, b.shadow.filled, b.shadow.next = b.count, b.filled, b.next
}

// Release forgets what Hold keeps.
func (b *Bank) Release() { b.held = false }

// Revert makes the bank what it was when Hold was called last.
func (b *Bank) Revert() {
	if !b.held {
		return
	}
	b.held = false
	if !b.copied {
		b.count = b.shadow.count
		return
	}
	b.state.set(&b.shadow)
	b.stale = true
}

// project makes the keys and values of all slots, if they are not what they should be.
func (b *Bank) project(impl *kernels.Implementation, s *Scratch) {
	if !b.stale {
		return
	}
	b.stale = false
	for g := range b.filled {
		b.projectGroup(impl, g, s)
	}
}

// group returns the slots of a group.
func (b *Bank) group(g int) []float32 {
	n := b.PerChunk * b.Dim
	return b.slots[g*n : (g+1)*n]
}
