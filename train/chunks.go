package train

import (
	"fmt"

	"gorgonia.org/tensor"
)

// Chunks is the layout of texts that are cut into chunks, each of which is summarized in slots for those after it to read. The
// slots of texts are rows one after the other: of each text those of its chunks but the last one, which no other follows.
type Chunks struct {
	Length int // rows of a text
	Chunk  int // rows of a chunk; the last one of a text may have less
	Slots  int // that a chunk is summarized in
	Bank   int // slots that a chunk reads, of the newest chunks before it: whole chunks of them
}

func (c Chunks) check() error {
	switch {
	case c.Length < 1 || c.Chunk < 1 || c.Slots < 1 || c.Bank < c.Slots || c.Bank%c.Slots != 0:
		return fmt.Errorf("texts of %d rows in chunks of %d with %d slots each and %d in the bank", c.Length, c.Chunk, c.Slots, c.Bank)
	case c.summarized() == 0:
		return fmt.Errorf("texts of %d rows are no more than a chunk of %d", c.Length, c.Chunk)
	}
	return nil
}

// summarized is the number of a text's chunks that have slots.
func (c Chunks) summarized() int { return (c.Length - 1) / c.Chunk }

// slots is the number of a text's slots.
func (c Chunks) slots() int { return c.summarized() * c.Slots }

// texts is the number of texts that so many rows are of.
func (c Chunks) texts(rows int) (int, error) {
	if rows%c.Length != 0 {
		return 0, fmt.Errorf("%d rows are no whole texts of %d", rows, c.Length)
	}
	return rows / c.Length, nil
}

// textsOf is the number of texts that so many slots are of.
func (c Chunks) textsOf(slots int) (int, error) {
	if slots%c.slots() != 0 {
		return 0, fmt.Errorf("%d slots are not those of whole texts, which have %d", slots, c.slots())
	}
	return slots / c.slots(), nil
}

// before returns the chunks [from, to) that are in the bank which a chunk reads.
func (c Chunks) before(chunk int) (from, to int) { return max(0, chunk-c.Bank/c.Slots), chunk }

// rowsOf returns the rows [from, to) of a text that are a chunk.
func (c Chunks) rowsOf(chunk int) (from, to int) {
	return chunk * c.Chunk, min((chunk+1)*c.Chunk, c.Length)
}

// slotsOf checks rows [rows, d] of texts and returns the shape of their slots.
func (c Chunks) slotsOf(rows tensor.Shape) (tensor.Shape, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	texts, err := c.texts(rows[0])
	return tensor.Shape{texts * c.slots(), rows[1]}, err
}
