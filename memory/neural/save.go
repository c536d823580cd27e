package neural

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A saved state is, in little endian: the magic, the version, the shape (heads, dim, depth, expansion, chunk, convolution and
// flags), the number of tokens in the chunk, and each head's values.
const (
	stateMagic   = "MNTN"
	stateVersion = 2
	stateHeader  = 4 + 4 + 4*8
)

// ErrState is wrapped when a saved state is none, or one of a memory of another shape.
var ErrState = errors.New("neural: the saved state does not fit")

// shape is what states must have in common with their memory.
func (m *Memory) shape() [7]uint32 {
	var flags uint32
	for i, set := range []bool{
		m.Momentum, m.ReadAfter, m.FullLoss, m.SiLU, m.UnitHidden, m.LayerSteps, m.MostError > 0, m.DecayToInitial, m.Retrieving,
	} {
		if set {
			flags |= 1 << i
		}
	}
	return [7]uint32{
		uint32(m.Heads), uint32(m.Dim), uint32(m.Depth), uint32(m.Expansion), uint32(m.Chunk), uint32(m.Convolution), flags,
	}
}

// SavedBytes is the length of what Save appends.
func (m *Memory) SavedBytes() int64 { return stateHeader + 4*int64(m.Heads)*int64(m.size) }

// Save appends what Restore reads.
func (s *State) Save(to []byte) []byte {
	m := s.memory
	to = append(to, stateMagic...)
	to = binary.LittleEndian.AppendUint32(to, stateVersion)
	for _, n := range m.shape() {
		to = binary.LittleEndian.AppendUint32(to, n)
	}
	to = binary.LittleEndian.AppendUint32(to, uint32(s.heads[0].fill))
	for i := range s.heads {
		for _, v := range s.heads[i].values {
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(v))
		}
	}
	return to
}

// Restore makes the state what it was when it was saved, after a text of so many rows. On an error it stays as it is.
func (s *State) Restore(saved []byte, rows int) error {
	m := s.memory
	if len(saved) < stateHeader || string(saved[:4]) != stateMagic {
		return fmt.Errorf("%w: it does not begin like one", ErrState)
	}
	if v := binary.LittleEndian.Uint32(saved[4:]); v != stateVersion {
		return fmt.Errorf("%w: version %d, known is %d", ErrState, v, stateVersion)
	}
	names := [...]string{"heads", "width", "depth", "expansion", "chunk", "convolution", "flags"}
	for i, want := range m.shape() {
		if n := binary.LittleEndian.Uint32(saved[8+4*i:]); n != want {
			return fmt.Errorf("%w: %s %d, the memory has %d", ErrState, names[i], n, want)
		}
	}
	fill := binary.LittleEndian.Uint32(saved[stateHeader-4:])
	if rows < 0 || fill != uint32(rows%m.Chunk) {
		return fmt.Errorf("%w: %d tokens in a chunk of %d after a text of %d", ErrState, fill, m.Chunk, rows)
	}
	if int64(len(saved)) != m.SavedBytes() {
		return fmt.Errorf("%w: %d bytes, want %d", ErrState, len(saved), m.SavedBytes())
	}
	values := saved[stateHeader:]
	for i := 0; i < len(values); i += 4 {
		if v := math.Float32frombits(binary.LittleEndian.Uint32(values[i:])); v != v || math.IsInf(float64(v), 0) {
			return fmt.Errorf("%w: value %d is not finite", ErrState, i/4)
		}
	}
	for h := range s.heads {
		x := &s.heads[h]
		x.fill = int(fill)
		for i := range x.values {
			x.values[i] = math.Float32frombits(binary.LittleEndian.Uint32(values[4*(h*m.size+i):]))
		}
	}
	s.held = false
	return nil
}
