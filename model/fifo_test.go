package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

const fifoChunk = 12

// fifoKeys are those of mneme-tiny with a memory in its second layer, with some of them changed.
func fifoKeys(change map[string]any) map[string]any {
	keys := map[string]any{
		"attention.kind": "chunked", "attention.chunk_length": uint32(fifoChunk), "memory.kind": "fifo", "memory.fifo.window": uint32(4),
		"memory.fifo.slots": uint32(6), "memory.fifo.chunk_slots": uint32(2), "memory.fifo.layers": []int32{1}, "memory.fifo.head_count": uint32(4),
	}
	full := map[string]any{}
	for name, value := range change {
		keys[name] = value
	}
	for name, value := range keys {
		full["mneme."+name] = value
	}
	return full
}

// fifoTensors are all that a memory of the kind can have, as matrices of [in, out]; names leaves some out.
func fifoTensors(gates int, without ...string) (list []weights.Tensor) {
	r := rand.New(rand.NewPCG(1, 7))
	add := func(name string, in, out int) {
		if slices.Contains(without, name) {
			return
		}
		values := make([]float32, in*max(out, 1))
		for i := range values {
			values[i] = float32(r.NormFloat64() / 4)
		}
		for layer := range 2 {
			if layer == 1 || name == "fuse.weight" {
				x := floats(fmt.Sprintf("blk.%d.mem_%s", layer, name), values...)
				if out > 0 {
					x.Shape = []int{in, out}
				}
				list = append(list, x)
			}
		}
	}
	add("fuse.weight", 4, 3)
	add("pool_norm.weight", 64, 0)
	add("pool_q.weight", 64, 2)
	for _, name := range []string{"pool_k", "pool_v", "q", "k", "v"} {
		add(name+".weight", 64, 64)
	}
	add("norm.weight", 64, 0)
	add("gate_w.weight", 64, 64*gates)
	add("gate_u.weight", 64, 64*gates)
	add("gate_w.bias", 64*gates, 0)
	return list
}

func fifoFile(t *testing.T, change map[string]any, tensors []weights.Tensor) *weights.File {
	t.Helper()
	return edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: fifoKeys(change), add: tensors})
}

func fifoModelOf(t *testing.T, change map[string]any, tensors []weights.Tensor) *Model {
	t.Helper()
	m, err := Load(fifoFile(t, change, tensors))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fifoModels are models over the switches.
func fifoModels(t *testing.T) map[string]*Model {
	query := []string{"pool_q.weight", "pool_k.weight"}
	return map[string]*Model{
		"gru, means": fifoModelOf(t, nil, fifoTensors(3, query...)),
		"simple, queries": fifoModelOf(t, map[string]any{"memory.fifo.gate": "simple", "memory.fifo.pooling": "query", "memory.fifo.previous": "mean"},
			fifoTensors(1)),
		"none, raw": fifoModelOf(t, map[string]any{
			"memory.fifo.gate": "none", "memory.fifo.head_count": uint32(1), "memory.fifo.scale": float32(1), "memory.fifo.renormalize": true, "memory.fifo.chunk_slots": uint32(1),
		}, fifoTensors(0, append(query, "k.weight", "v.weight", "norm.weight", "gate_w.weight", "gate_u.weight", "gate_w.bias")...)),
	}
}

// TestFifoInAnyBatches is I8: it has texts come in whatever pieces, beside others and with any number of threads: nothing changes by a bit.
func TestFifoInAnyBatches(t *testing.T) {
	for name, m := range fifoModels(t) {
		const texts, length = 3, 5*fifoChunk + 5
		one := newRunner(t, m, 1)
		var alone [texts][][]float32
		for s := range texts {
			alone[s] = forward(t, one, newSequence(t, m, quant.F32), text(length, s+1), 0)
		}
		rng := rand.New(rand.NewPCG(2, 3))
		for _, threads := range []int{1, 2, 3} {
			r := newRunner(t, m, threads)
			var seqs [texts]*Sequence
			for s := range seqs {
				seqs[s] = newSequence(t, m, quant.F32)
			}
			for next := [texts]int{}; slices.Min(next[:]) < length; {
				var batch []Row
				var of []int
				for range 4 { // a sequence may have several places in a batch
					s := rng.IntN(texts)
					for range rng.IntN(3 * fifoChunk) {
						if next[s] < length {
							batch = append(batch, Row{Token: text(length, s+1)[next[s]], Position: int32(next[s]), Sequence: seqs[s], Logits: true})
							of = append(of, s)
							next[s]++
						}
					}
				}
				err := r.Forward(batch, nil, func(i int, logits []float32) {
					if !slices.Equal(logits, alone[of[i]][batch[i].Position]) {
						t.Fatalf("%s, %d threads: text %d, row %d differs", name, threads, of[i], batch[i].Position)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestFifoRemembers is I9, and tells what goes through the memory: a changed token shows in its chunk from its own row on, and in
// those after it only by the memory.
func TestFifoRemembers(t *testing.T) {
	for name, m := range fifoModels(t) {
		r := newRunner(t, m, 2)
		for _, forgetful := range []bool{false, true} {
			run := func(tokens []int32) [][]float32 {
				s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: forgetful})
				if err != nil {
					t.Fatal(err)
				}
				return forward(t, r, s, tokens, 0)
			}
			tokens := text(6*fifoChunk, 5)
			before := run(tokens)
			const at = fifoChunk + 3
			tokens[at] = (tokens[at]+1)%500 + 3
			for i, logits := range run(tokens) {
				sees := i >= at && (!forgetful || i < 2*fifoChunk)
				if slices.Equal(logits, before[i]) == sees {
					t.Fatalf("%s, forgetful %v: row %d, is to see the change: %v", name, forgetful, i, sees)
				}
			}
		}
	}
}

// TestFifoOfOnePath is I1, I2 and I11: with all the weight on one of the first two paths, or with windows as long as chunks, it is
// attention to chunks of that length, and with one chunk for all of the text full attention. The models that do the same have
// positions in the text, and not in the chunk.
func TestFifoOfOnePath(t *testing.T) {
	none := float32(math.Inf(-1))
	for _, c := range []struct {
		logits        []float32
		length        uint32 // of a chunk
		window, chunk uint32 // chunk: of the model that does the same, 0: full attention
	}{
		{[]float32{0, none, none}, fifoChunk, 4, fifoChunk}, {[]float32{none, 0, none}, fifoChunk, 4, 4}, {[]float32{none, 0, none}, fifoChunk, 1, 1},
		{[]float32{0.3, 1, none}, fifoChunk, fifoChunk, fifoChunk}, {[]float32{0, none, none}, 96, 4, 0},
	} {
		tensors := fifoTensors(3, "pool_q.weight", "pool_k.weight", "fuse.weight")
		for layer := range 2 {
			x := floats(fmt.Sprintf("blk.%d.mem_fuse.weight", layer), c.logits...)
			x.Shape = []int{1, 3}
			tensors = append(tensors, x)
		}
		m := fifoModelOf(t, map[string]any{"memory.fifo.window": c.window, "attention.chunk_length": c.length}, tensors)
		kind := "chunked"
		if c.chunk == 0 {
			kind = "full"
		}
		plain, err := Load(edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: map[string]any{
			"mneme.attention.kind": kind, "mneme.attention.chunk_length": c.chunk,
		}}))
		if err != nil {
			t.Fatal(err)
		}
		tokens := text(4*fifoChunk+1, 9)
		want := forward(t, newRunner(t, plain, 1), newSequence(t, plain, quant.F32), tokens, 0)
		for i, logits := range forward(t, newRunner(t, m, 1), newSequence(t, m, quant.F32), tokens, 0) {
			sameLogits(t, fmt.Sprintf("%+v: row %d", c, i), logits, want[i])
		}
	}
}

// TestFifoPositionsAreThoseInTheChunk: without memory a chunk that is repeated has the same bits, within a page of the cache.
func TestFifoPositionsAreThoseInTheChunk(t *testing.T) {
	m := fifoModels(t)["gru, means"]
	s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	rows := forward(t, newRunner(t, m, 1), s, slices.Repeat(text(fifoChunk, 3), kvcache.PageRows/fifoChunk), 0)
	for i := range rows {
		if !slices.Equal(rows[i], rows[i%fifoChunk]) {
			t.Fatalf("row %d is not that of the first chunk", i)
		}
	}
	if s.Positions() != fifoChunk {
		t.Errorf("%d positions in chunks of %d", s.Positions(), fifoChunk)
	}
	if err := s.Truncate(0); err != nil || s.Positions() != 0 {
		t.Errorf("%d positions of no text, %v", s.Positions(), err)
	}
	if forward(t, newRunner(t, m, 1), s, text(fifoChunk-1, 3), 0); s.Positions() != fifoChunk-1 {
		t.Errorf("%d positions of %d tokens", s.Positions(), fifoChunk-1)
	}
}

// TestFifoGoesBack takes texts back, by Truncate, by batches that fail and by states.
func TestFifoGoesBack(t *testing.T) {
	for name, m := range fifoModels(t) {
		const broken = 511 // a token whose embedding is no number
		if err := quant.Encode(quant.F32, m.embedding.Row(broken), slices.Repeat([]float32{float32(math.NaN())}, m.Embedding)); err != nil {
			t.Fatal(err)
		}
		r := newRunner(t, m, 2)
		tokens := text(7*fifoChunk, 4)
		want := forward(t, r, newSequence(t, m, quant.F32), tokens, 0)
		for _, have := range []int{1, fifoChunk, 3*fifoChunk + 5} {
			s := newSequence(t, m, quant.F32)
			bytes := s.MemoryBytes()
			forward(t, r, s, tokens[:have], 0)
			for _, token := range []int32{-1, broken} { // one fails before the first layer, the other after memories were written to
				bad := rowsOf(s, tokens[have:], have)
				bad[len(bad)-1].Token = token
				if err := r.Forward(bad, nil, nil); err == nil {
					t.Fatalf("token %d is read", token)
				}
			}
			var stop atomic.Bool
			stop.Store(true)
			if err := r.Forward(rowsOf(s, tokens[have:], have), &stop, nil); !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			forward(t, r, s, tokens[have:have+2], have)
			if err := s.Truncate(have + 1); err != nil {
				t.Fatal(err)
			}
			state := s.Memories()
			restored, err := s.ReadMemories(state.Save(), have+1)
			if err != nil {
				t.Fatal(err)
			}
			for _, rows := range []int{have, have + 3, -1} {
				if _, err := s.ReadMemories(state.Save(), rows); err == nil {
					t.Errorf("a memory of %d rows is taken for one of %d", have+1, rows)
				}
			}
			for _, data := range [][]byte{nil, state.Save()[:9], append(state.Save(), 0), state.Save()[1:]} {
				if _, err := s.ReadMemories(data, have+1); err == nil {
					t.Errorf("%d bytes are taken for a memory", len(data))
				}
			}
			s.SetMemories(restored)
			for i, logits := range forward(t, r, s, tokens[have+1:], have+1) {
				if !slices.Equal(logits, want[have+1+i]) {
					t.Fatalf("%s: back to %d: row %d differs", name, have+1, have+1+i)
				}
			}
			err = s.Truncate(len(tokens) - fifoChunk - 1)
			if !errors.Is(err, memory.ErrLearned) || s.Cache.Seen() != len(tokens) {
				t.Fatalf("behind the last chunk: %v", err)
			}
			if err := s.Truncate(0); err != nil {
				t.Fatal(err)
			}
			if got := forward(t, r, s, tokens, 0); !slices.Equal(got[len(got)-1], want[len(want)-1]) {
				t.Errorf("%s: a text that was begun anew differs", name)
			}
			if s.MemoryBytes() != bytes || bytes != m.MemoryBytes() || bytes == 0 {
				t.Errorf("%d bytes of memory, and %d", bytes, s.MemoryBytes())
			}
		}
	}
}

func rowsOf(s *Sequence, tokens []int32, first int) (rows []Row) {
	for i, id := range tokens {
		rows = append(rows, Row{Token: id, Position: int32(first + i), Sequence: s})
	}
	return rows
}

// TestFifoRefusesSequences that its chunks could not be found in.
func TestFifoRefusesSequences(t *testing.T) {
	m := fifoModels(t)["gru, means"]
	r := newRunner(t, m, 1)
	s := newSequence(t, m, quant.F32)
	if err := r.Forward(rowsOf(s, []int32{5, 6}, 3), nil, nil); err == nil || !strings.Contains(err.Error(), "needs all of them") || s.Cache.Seen() != 0 {
		t.Errorf("a text that begins at position 3: %v", err)
	}
	for _, name := range []string{"chunked:chunk=4", "retrieval"} {
		method, err := attention.NewMethod(name, map[bool]int{true: 256}[name == "retrieval"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.NewSequence(SequenceOptions{Rows: quant.F32, Attention: method}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("attention %s: %v", name, err)
		}
	}
}

func TestFifoRefusesFiles(t *testing.T) {
	for want, change := range map[string]map[string]any{
		"memory.fifo.window":                      {"memory.fifo.window": nil},
		"cannot be cut into windows of 5":         {"memory.fifo.window": uint32(5)},
		"memory.fifo.slots":                       {"memory.fifo.slots": nil},
		"does not hold whole chunks":              {"memory.fifo.slots": uint32(7)},
		"cannot be cut into 5 equal":              {"memory.fifo.slots": uint32(10), "memory.fifo.chunk_slots": uint32(5)},
		"unknown gate \"lstm\"":                   {"memory.fifo.gate": "lstm"},
		"unknown pooling \"max\"":                 {"memory.fifo.pooling": "max"},
		"unknown previous slot \"all\"":           {"memory.fifo.previous": "all"},
		"want a list of layers":                   {"memory.fifo.layers": nil},
		"2 is no layer of 2":                      {"memory.fifo.layers": []int32{2}},
		"layers\": 1 is no layer of 2, or not in": {"memory.fifo.layers": []int32{1, 1}},
		"3 heads of 21 cannot read":               {"memory.fifo.head_count": uint32(3)},
		"scale -1":                                {"memory.fifo.scale": float32(-1)},
		"want true or false":                      {"memory.fifo.renormalize": "yes"},
		"want chunked attention":                  {"attention.kind": []string{"chunked", "full"}},
		"attention.chunk_length":                  {"attention.chunk_length": nil},
		`"elephant" is not supported`:             {"memory.kind": "elephant"},
		`"blk.0.mem_q.weight": missing`:           {"memory.fifo.layers": []int32{0, 1}},
		"shape [64 192], want [64 64]":            {"memory.fifo.gate": "simple"},
		`"blk.1.mem_pool_q.weight": missing`:      {"memory.fifo.pooling": "query"},
		"has no use for blk.1.mem_gate_w.weight":  {"memory.fifo.gate": "none"},
		"slots: 268435456 is not between":         {"memory.fifo.slots": uint32(1 << 28)},
	} {
		tensors := fifoTensors(3, "pool_q.weight", "pool_k.weight")
		_, err := Load(edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: fifoKeys(change), add: tensors}))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want an error with %s: %v", want, err)
		}
	}
	for name, want := range map[string]string{
		"fuse.weight": "mem_fuse.weight", "q.weight": "mem_q.weight", "k.weight": "come together", "gate_u.weight": "mem_gate_u.weight",
	} {
		tensors := fifoTensors(3, "pool_q.weight", "pool_k.weight", name)
		_, err := Load(edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: fifoKeys(nil), add: tensors}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestFifoDecodingDoesNotAllocate goes on over the ends of several chunks.
func TestFifoDecodingDoesNotAllocate(t *testing.T) {
	for name, m := range fifoModels(t) {
		for _, threads := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(t *testing.T) { decodeWithoutAllocating(t, m, quant.F32, threads) })
		}
	}
}
