package synth

import "fmt"

// Fifo is a gated first-in-first-out memory in the second half of the layers of a model whose attention is to chunks; only
// mneme. Chunks are summarized by means, which a GRU gate mixes with the summaries before them. The zero Fifo is none.
type Fifo struct {
	Chunk    int // tokens of a chunk
	Window   int // of the pieces that the second path attends to
	Slots    int // of the bank
	PerChunk int // slots that a chunk becomes
}

func (s Shape) validateFifo() error {
	x := s.Fifo
	if x == (Fifo{}) {
		return nil
	}
	if err := x.validate(); err != nil {
		return fmt.Errorf("shape %q: %w", s.Name, err)
	}
	switch {
	case s.Arch != "mneme" || s.SlidingWindow > 0:
		return fmt.Errorf("shape %q: a memory of chunks in architecture %q with a window of %d", s.Name, s.Arch, s.SlidingWindow)
	case x.Window < 1 || x.Chunk%x.Window != 0:
		return fmt.Errorf("shape %q: memory %+v: chunks are whole windows", s.Name, x)
	}
	return nil
}

func (x Fifo) validate() error {
	for _, n := range []int{x.Chunk, x.Slots, x.PerChunk} {
		if n < 1 || n > largest {
			return fmt.Errorf("memory %+v: %d is not within 1 to %d", x, n, largest)
		}
	}
	if x.Chunk%x.PerChunk != 0 || x.Slots%x.PerChunk != 0 {
		return fmt.Errorf("memory %+v: chunks are whole slots, and the bank holds whole chunks", x)
	}
	return nil
}

func (s Shape) hasFifo(layer int) bool { return s.Fifo.Slots > 0 && layer >= s.Layers/2 }

// fifoParameters are the keys that say what the memory is.
func (s Shape) fifoParameters() []pair {
	var layers []int32
	for i := range s.Layers {
		if s.hasFifo(i) {
			layers = append(layers, int32(i))
		}
	}
	return append([]pair{
		{"attention.kind", "chunked"}, {"attention.chunk_length", uint32(s.Fifo.Chunk)}, {"memory.fifo.window", uint32(s.Fifo.Window)},
	}, s.bankParameters(layers)...)
}

// bankParameters are those of the bank and of what reads it.
func (s Shape) bankParameters(layers []int32) []pair {
	x := s.Fifo
	return []pair{
		{"memory.kind", "fifo"}, {"memory.fifo.slots", uint32(x.Slots)}, {"memory.fifo.chunk_slots", uint32(x.PerChunk)},
		{"memory.fifo.head_count", uint32(s.Heads)}, {"memory.fifo.gate", "gru"}, {"memory.fifo.layers", layers},
	}
}

// fifoTensors are those of a layer of a model with such a memory, which all layers weigh their paths by.
func (s Shape) fifoTensors(layer int) []tensor {
	if s.Fifo.Slots == 0 {
		return nil
	}
	list := []tensor{{name: "mem_fuse.weight", shape: []int{s.Heads, 3}, deviation: 1, float: true}}
	if !s.hasFifo(layer) {
		return list
	}
	return append(list, s.bankTensors()...)
}

// bankTensors are those of a layer's bank and of what reads it.
func (s Shape) bankTensors() []tensor {
	const gates = 3
	d, width := s.Embedding, s.Heads*s.headDim()
	return []tensor{
		norm("mem_pool_norm.weight", d), matrix("mem_pool_v.weight", d, d),
		matrix("mem_gate_w.weight", d, gates*d), matrix("mem_gate_u.weight", d, gates*d), bias("mem_gate_w.bias", d, gates*d),
		norm("mem_norm.weight", d), matrix("mem_q.weight", d, width), matrix("mem_k.weight", d, width), matrix("mem_v.weight", d, width),
	}
}
