package sample

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
)

// A saved state, all numbers little-endian:
//
//	offset  bytes
//	0       4      "mnsc"
//	4       4      version, 1
//	8       48     the generator, as math/rand/v2 marshals it
//	56      8      μ of Mirostat, a float64; NaN without
//	64      4·n    the accepted tokens that matter, oldest first, int32
//	64+4n   4      CRC-32 (Castagnoli) of all before
const (
	stateMagic   = "mnsc"
	stateVersion = 1
	rngBytes     = 48
	stateHeader  = 8 + rngBytes + 8
	stateSum     = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// State returns what the chain remembers: where its generator stands, Mirostat's μ and the accepted tokens. A chain
// with the same options that restores it continues alike. The options are not in it.
func (c *Chain) State() ([]byte, error) {
	rng, err := c.state.rng.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("sample: save state: %w", err)
	}
	if len(rng) != rngBytes {
		return nil, fmt.Errorf("sample: save state: the generator takes %d bytes, want %d", len(rng), rngBytes)
	}
	tokens := c.state.history.kept()
	data := make([]byte, 0, stateHeader+4*len(tokens)+stateSum)
	data = append(data, stateMagic...)
	data = binary.LittleEndian.AppendUint32(data, stateVersion)
	data = append(data, rng...)
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(c.state.mu))
	for _, id := range tokens {
		data = binary.LittleEndian.AppendUint32(data, uint32(id))
	}
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli)), nil
}

// Restore takes up a state that State returned. Of its tokens the chain keeps those that its own options look at. On an
// error the chain is unchanged.
func (c *Chain) Restore(data []byte) error {
	if err := checkState(data); err != nil {
		return fmt.Errorf("sample: restore state: %w", err)
	}
	rng := new(rand.ChaCha8)
	if err := rng.UnmarshalBinary(data[8 : 8+rngBytes]); err != nil {
		return fmt.Errorf("sample: restore state: generator: %w", err)
	}
	mu := math.Float64frombits(binary.LittleEndian.Uint64(data[8+rngBytes:]))
	if math.IsInf(mu, 0) {
		return fmt.Errorf("sample: restore state: mirostat mu is %v", mu)
	}
	c.state.rng = rng
	if c.mirostat == nil || math.IsNaN(mu) {
		mu = c.firstMu()
	}
	c.state.mu = mu
	c.state.history.restore(data[stateHeader : len(data)-stateSum])
	c.selected = Candidate{}
	c.pool.list = c.pool.list[:0]
	return nil
}

func checkState(data []byte) error {
	n := len(data)
	if n < stateHeader+stateSum || (n-stateHeader-stateSum)%4 != 0 {
		return fmt.Errorf("%d bytes are no state", n)
	}
	if string(data[:4]) != stateMagic {
		return fmt.Errorf("it begins with %q, want %q", data[:4], stateMagic)
	}
	if v := binary.LittleEndian.Uint32(data[4:]); v != stateVersion {
		return fmt.Errorf("version %d, want %d", v, stateVersion)
	}
	if crc32.Checksum(data[:n-stateSum], castagnoli) != binary.LittleEndian.Uint32(data[n-stateSum:]) {
		return errors.New("checksum mismatch")
	}
	// Eight bytes of text mark the plain form of the generator, the only one that State writes.
	if string(data[8:16]) != "chacha8:" {
		return errors.New("generator is not ChaCha8")
	}
	return nil
}

// restore replaces the tokens by those of a saved state, as many as the limit allows.
func (h *history) restore(data []byte) {
	if keep := h.limit; keep >= 0 && len(data) > 4*keep {
		data = data[len(data)-4*keep:]
	}
	h.tokens = h.tokens[:0]
	for ; len(data) > 0; data = data[4:] {
		h.tokens = append(h.tokens, int32(binary.LittleEndian.Uint32(data)))
	}
}
