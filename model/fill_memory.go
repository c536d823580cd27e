package model

import (
	"math/rand/v2"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/memory/neural"
)

// noiseChunks is how many chunks of noise a neural memory learns from: what a token takes does not depend on what was learned.
// noiseGate is what the sigmoids of its gates are taken of: small steps, so that nothing grows.
const (
	noiseChunks = 2
	noiseGate   = -4
)

// fillMemories makes the memories of a sequence what they are after so many rows, of noise: they take in as much as changes what
// they hold. Banks are as full as the text makes them.
func (r *Runner) fillMemories(s *Sequence, rows int) error {
	rng := rand.New(rand.NewPCG(2, 8))
	var own kernels.Scratch
	bank, learner := fifo.NewScratch(&own), neural.NewScratch(r.impl, &own)
	for i, state := range s.memories {
		switch x := state.(type) {
		case *fifo.Bank:
			groups := x.Slots / x.PerChunk
			chunks := max(0, rows/x.Chunk-groups-1) // those before change nothing, and whole rounds of the bank not what is written next
			chunks -= chunks % groups
			for left := rows - chunks*x.Chunk; left > 0; {
				x.Advance(r.impl, bank)
				n := min(left, x.Room())
				if err := x.Write(r.impl, normals(rng, n*x.Dim)); err != nil {
					return err
				}
				left -= n
			}
		case *neural.State:
			if err := fillNeural(r.model.layers[i].neural.memory, x, learner, rng, rows); err != nil {
				return err
			}
		case *contextState:
			if err := fillNeural(x.memory, x.State, learner, rng, rows); err != nil {
				return err
			}
			n := rows % x.memory.Chunk
			for j := range n {
				x.rows.Append(int32(rows - n + j))
				for h := range r.model.KVHeads {
					if err := x.rows.Put(h, j, normals(rng, r.model.KeyDim), normals(rng, r.model.ValueDim)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// fillNeural has a neural memory learn from the last chunks of so many rows.
func fillNeural(m *neural.Memory, to *neural.State, learner *neural.Scratch, rng *rand.Rand, rows int) error {
	n := rows - max(0, rows/m.Chunk-noiseChunks)*m.Chunk
	width := m.Heads * m.Dim
	noise := neural.Rows{
		Q: normals(rng, n*width), K: normals(rng, n*width), V: normals(rng, n*width), Gates: make([]float32, n*3*m.Heads), Out: make([]float32, n*width),
	}
	pick := make([]int32, n)
	for j := range pick {
		pick[j] = int32(j)
	}
	for j := range noise.Gates {
		noise.Gates[j] = noiseGate
	}
	for h := range m.Heads {
		if err := m.Advance(learner, to, h, noise, pick, make([]float32, n*width)); err != nil {
			return err
		}
	}
	return nil
}

// normals are as large as what is normed.
func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}
