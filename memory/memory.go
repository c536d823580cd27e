// Package memory is what learned memories have in common. A model is trained with a memory, which a layer reads beside or in place
// of older rows; what a text has made of it is a [State], whose size does not grow with the text.
package memory

import "errors"

// ErrLearned is wrapped when a text is to be taken back behind something that its memory has learned from already.
var ErrLearned = errors.New("a memory has learned from what came after")

// State is what one layer remembers of one text. What one session wrote no other may read.
type State interface {
	// Bytes is its size, whatever was read.
	Bytes() int64
	// Reset makes it as if nothing had been read.
	Reset()
	// Clone makes one of its own with the same contents.
	Clone() State
	// Hold has Revert go back to what it is now, until Release.
	Hold()
	Release()
	Revert()
	// Reach is how many of the last rows Back can take back. It is an error to take back more (ErrLearned).
	Reach() int
	Back(rows int) error
	// Save appends what Restore makes it again, for a text of so many rows. On an error Restore leaves it as it is.
	Save(to []byte) []byte
	Restore(saved []byte, rows int) error
}
