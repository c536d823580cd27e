package sample

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"testing"
)

// resum sets the checksum of a state right.
func resum(data []byte) []byte {
	data = slices.Clone(data)
	if n := len(data) - stateSum; n >= 0 {
		binary.LittleEndian.PutUint32(data[n:], crc32.Checksum(data[:n], castagnoli))
	}
	return data
}

// FuzzRestore: bytes are refused and leave the chain as it was, or are a state that the chain then saves again.
func FuzzRestore(f *testing.F) {
	for _, o := range []Options{Default(), everything(1), withMirostat(everything(1))} {
		chain := mustNew(f, o)
		for id := range int32(20) {
			chain.Accept(id)
		}
		data, err := chain.State()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-4])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o := withMirostat(everything(1))
		o.DRYLastN = -1
		for _, data := range [][]byte{data, resum(data)} {
			chain := mustNew(t, o)
			before, _ := chain.State()
			err := chain.Restore(data)
			after, stateErr := chain.State()
			if stateErr != nil {
				t.Fatal(stateErr)
			}
			if err != nil {
				if !slices.Equal(before, after) {
					t.Fatalf("error %v, but the state changed", err)
				}
				continue
			}
			mu := math.Float64frombits(binary.LittleEndian.Uint64(data[8+rngBytes:]))
			if !math.IsNaN(mu) && !slices.Equal(after, data) {
				t.Fatal("the restored state is saved as another")
			}
			if _, err := chain.Sample([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
