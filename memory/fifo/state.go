package fifo

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A saved bank is, in little-endian order, nine words of 32 bits: stateMagic, stateVersion, Dim, Chunk, Slots, PerChunk, groups that
// are filled, the group that is next, rows of the chunk; then the slots of the filled groups and the rows, as float32.
const (
	stateMagic   = 0x4f464946 // FIFO
	stateVersion = 1
	stateWords   = 9
)

// Save appends what the bank holds to data.
func (b *Bank) Save(data []byte) []byte {
	for _, x := range []int{stateMagic, stateVersion, b.Dim, b.Chunk, b.Slots, b.PerChunk, b.filled, b.next, b.count} {
		data = binary.LittleEndian.AppendUint32(data, uint32(x))
	}
	for _, list := range [][]float32{b.slots[:b.Filled()*b.Dim], b.rows[:b.count*b.Dim]} {
		for _, x := range list {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
	}
	return data
}

// Restore makes the bank what it was when Save was called of this bank or another of the same shape, after a text of so many rows.
// On an error it is left as it was.
func (b *Bank) Restore(data []byte, text int) error {
	if len(data) < 4*stateWords {
		return fmt.Errorf("fifo: a state of %d bytes is too short", len(data))
	}
	var words [stateWords]uint32
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if words[0] != stateMagic || words[1] != stateVersion {
		return fmt.Errorf("fifo: not a state, or of another version: %#x, %d", words[0], words[1])
	}
	for i, want := range []int{b.Dim, b.Chunk, b.Slots, b.PerChunk} {
		if words[2+i] != uint32(want) {
			return fmt.Errorf("fifo: the state is of a memory with %s %d, and not %d",
				[]string{"width", "chunk", "slots", "slots of a chunk"}[i], words[2+i], want)
		}
	}
	filled, next, count := words[6], words[7], words[8]
	groups := uint32(b.Slots / b.PerChunk)
	if filled > groups || next >= groups || filled < groups && next != filled || count > uint32(b.Chunk) {
		return fmt.Errorf("fifo: a state with %d of %d groups filled, group %d next, and %d rows of a chunk of %d", filled, groups, next, count, b.Chunk)
	}
	folded := text - int(count)
	chunks := folded / b.Chunk
	if folded < 0 || folded%b.Chunk != 0 || int(filled) != min(chunks, int(groups)) || int(next) != chunks%int(groups) {
		return fmt.Errorf("fifo: a state with %d groups filled, group %d next, and %d rows of a chunk of %d, which is not what %d rows leave",
			filled, next, count, b.Chunk, text)
	}
	slots, rows := int(filled)*b.PerChunk*b.Dim, int(count)*b.Dim
	if data = data[4*stateWords:]; len(data) != 4*(slots+rows) {
		return fmt.Errorf("fifo: a state with %d bytes of values, want %d", len(data), 4*(slots+rows))
	}
	for i := 0; i < len(data); i += 4 {
		if x := math.Float32frombits(binary.LittleEndian.Uint32(data[i:])); x-x != 0 {
			return fmt.Errorf("fifo: value %d of the state is %v", i/4, x)
		}
	}
	decode(b.slots[:slots], data)
	decode(b.rows[:rows], data[4*slots:])
	b.filled, b.next, b.count, b.held, b.stale = int(filled), int(next), int(count), false, true
	return nil
}

func decode(dst []float32, data []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
}
