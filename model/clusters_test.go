package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// clusteredSequence makes an empty sequence that opens clusters.
func clusteredSequence(t *testing.T, m *Model, rows quant.Type, budget int, parameters string) *Sequence {
	t.Helper()
	method, err := attention.NewMethod("retrieval:summary=clusters,"+parameters, budget)
	if err != nil {
		t.Fatal(err)
	}
	seq, err := m.NewSequence(SequenceOptions{Rows: rows, Attention: method})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// readPieces reads tokens in pieces from where a sequence is, and returns the logits of each.
func readPieces(t *testing.T, r *Runner, seq *Sequence, tokens []int32, piece int) (logits [][]float32) {
	t.Helper()
	for at := seq.Cache.Seen(); at < len(tokens); at += piece {
		logits = append(logits, forward(t, r, seq, tokens[at:min(at+piece, len(tokens))], at)...)
	}
	return logits
}

func sameBits(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: logits of %d tokens, want %d", what, len(got), len(want))
	}
	for i := range want {
		for j, v := range want[i] {
			if math.Float32bits(got[i][j]) != math.Float32bits(v) {
				t.Fatalf("%s: logit %d after token %d is %v, want %v", what, j, i, got[i][j], v)
			}
		}
	}
}

// With a budget for the whole text nothing is clustered, and attention is full attention to the bit, also for a prompt that is
// read in pieces. Beyond the budget all layers have clusters but those with a window.
func TestClustersWithinTheBudgetAreFullAttention(t *testing.T) {
	for _, name := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := synthModel(t, name, quant.F32)
			r := newRunner(t, m, 2)
			tokens := text(260, 3)
			want := forward(t, r, newSequence(t, m, quant.F32), tokens, 0)
			for _, piece := range []int{1, 37, 200} {
				for _, budget := range []int{len(tokens), 190} {
					seq := clusteredSequence(t, m, quant.F32, budget, "segment=48,local=20,sinks=4,estimate=0.5")
					got := readPieces(t, r, seq, tokens, piece)
					sameBits(t, "up to the budget", got[:budget], want[:budget])
					for l := range m.Layers {
						sealed := seq.Cache.Index(l, 0).Sealed
						if clustered := budget < len(tokens) && m.layers[l].window == 0; (sealed >= 3*48) != clustered || !clustered && sealed > 0 {
							t.Fatalf("a budget of %d, layer %d with a window of %d: %d rows are in clusters", budget, l, m.layers[l].window, sealed)
						}
					}
				}
			}
		})
	}
}

// Where the keys of a segment are equal and all clusters that are not opened are estimated, the budget does not matter.
func TestEstimateOfEqualKeysIsExact(t *testing.T) {
	const past, segment = 16 + 12*64 + 30, 64
	for _, name := range shapes() {
		m := synthModel(t, name, quant.F32)
		if slices.ContainsFunc(m.layers, func(l layer) bool { return l.window > 0 }) {
			continue // that sees few of the rows
		}
		r := newRunner(t, m, 2)
		full, some := newSequence(t, m, quant.F32), clusteredSequence(t, m, quant.F32, 16+10+segment+200, "segment=64,local=10,sinks=16,estimate=1")
		for _, seq := range []*Sequence{full, some} {
			rng := rand.New(rand.NewPCG(3, 1))
			positions := make([]int32, past)
			for i := range positions {
				positions[i] = int32(i)
			}
			if _, err := seq.Cache.Append(positions); err != nil {
				t.Fatal(err)
			}
			for l := range m.Layers {
				for h := range m.KVHeads {
					key := make([]float32, m.KeyDim)
					for i := range past {
						if (i-16)%segment == 0 || i < 16 {
							for j := range key {
								key[j] = float32(rng.NormFloat64())
							}
						}
						value := make([]float32, m.ValueDim)
						for j := range value {
							value[j] = float32(rng.NormFloat64())
						}
						if err := seq.Cache.Put(l, h, i, encodeF32(t, key), encodeF32(t, value)); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		}
		for i := range 5 {
			want, got := forward(t, r, full, text(5, 2)[i:i+1], past+i)[0], forward(t, r, some, text(5, 2)[i:i+1], past+i)[0]
			for j, v := range want {
				if !(math.Abs(float64(got[j]-v)) <= 2e-5) {
					t.Fatalf("%s: logit %d after token %d is %v, in full attention %v", name, j, i, got[j], v)
				}
			}
		}
		if n := some.Cache.Index(0, 0).Blocks.Rows(); n != 12 {
			t.Fatalf("%s: %d clusters of 12 segments of equal keys", name, n)
		}
	}
}

func encodeF32(t *testing.T, x []float32) []byte {
	t.Helper()
	row := make([]byte, 4*len(x))
	if err := quant.Encode(quant.F32, row, x); err != nil {
		t.Fatal(err)
	}
	return row
}

// A text that is taken back, anywhere, goes on as if it had never been longer; and so does one that is restored.
func TestClustersAfterTruncation(t *testing.T) {
	for _, name := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := synthModel(t, name, quant.Q8_0)
			r := newRunner(t, m, 2)
			tokens := text(330, 5)
			begin := func() *Sequence {
				return clusteredSequence(t, m, cacheType(m), 150, "segment=64,local=20,sinks=4,estimate=0.3")
			}
			// In pieces of 15: what has been read before it is cut is cut between two of them.
			long := begin()
			readPieces(t, r, long, tokens, 15)
			whole := long.Cache.Snapshot()
			cuts := []int{15, 75, 90, 105, 120, 150, 165, 210, 225, 270, 300, 315, 0}
			if testing.Short() {
				cuts = []int{75, 150, 225, 0}
			}
			for _, n := range cuts {
				fresh := begin()
				readPieces(t, r, fresh, tokens[:n], 15)
				before := fresh.Cache.Snapshot()
				other := append(slices.Clone(tokens[:n]), text(80, 9)...)
				want := readPieces(t, r, fresh, other, 40)
				if err := long.Cache.Restore(whole); err != nil {
					t.Fatal(err)
				}
				if err := long.Cache.Truncate(n); err != nil {
					t.Fatal(err)
				}
				sameBits(t, fmt.Sprintf("truncated to %d", n), readPieces(t, r, long, other, 40), want)
				if err := fresh.Cache.Restore(before); err != nil {
					t.Fatal(err)
				}
				sameBits(t, fmt.Sprintf("restored at %d", n), readPieces(t, r, fresh, other, 40), want)
			}
		})
	}
}

// The number of threads changes no bit, whether they share the segments of what a tile opens or not.
func TestThreadsChangeNoBitOfClusters(t *testing.T) {
	for _, name := range shapes() {
		m := synthModel(t, name, quant.Q8_0)
		var want [][]float32
		shared := false
		for _, threads := range []int{1, 2} {
			r := newRunner(t, m, threads)
			var got [][]float32
			for _, budget := range []int{700, 5000} {
				seq := clusteredSequence(t, m, quant.F16, budget, "segment=512,local=64,estimate=0.25")
				if _, err := r.Fill(seq, 2*kvcache.PageRows*attention.SegmentSpans+2000, 512); err != nil {
					t.Fatal(err)
				}
				at := seq.Cache.Seen()
				for _, n := range []int{1, 2, 50, 1} {
					got = append(got, forward(t, r, seq, text(n, 3), at)...)
					shared = shared || r.segments > 1
					at += n
				}
			}
			if want == nil {
				want = got
				continue
			}
			sameBits(t, fmt.Sprintf("%s with %d threads", name, r.Threads()), got, want)
			if !shared && r.Threads() > 1 {
				t.Errorf("%s: no segments were shared out", name)
			}
		}
	}
}

// Of sequences whose rows alternate in a batch, each is sealed once, by one thread a head.
func TestSequencesThatAlternateAreSealedOnce(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.Q8_0)
	r := newRunner(t, m, 2)
	const length, piece = 240, 30
	var seqs [2]*Sequence
	for i := range seqs {
		seqs[i] = clusteredSequence(t, m, quant.F16, 100, "segment=32,local=10,sinks=4,estimate=0.3")
	}
	alone := clusteredSequence(t, m, quant.F16, 100, "segment=32,local=10,sinks=4,estimate=0.3")
	readPieces(t, r, alone, text(length, 1), piece)
	for at := 0; at < length; at += piece {
		var batch []Row
		for i := at; i < at+piece; i++ {
			for n, seq := range seqs {
				batch = append(batch, Row{Token: text(length, n+1)[i], Position: int32(i), Sequence: seq})
			}
		}
		if err := r.Forward(batch, nil, nil); err != nil {
			t.Fatal(err)
		}
		if n := len(r.sealing.sequences); n != 0 && n != len(seqs) {
			t.Errorf("after %d rows %d sequences are sealed, not %d", at, n, len(seqs))
		}
	}
	for i, seq := range seqs {
		if n, want := seq.Cache.Sealed(), alone.Cache.Sealed(); n != want || n < length/2 {
			t.Errorf("text %d: %d rows are in clusters, want %d", i, n, want)
		}
	}
}

// Sequences that open clusters, blocks or everything may be in one batch, and do not see each other.
func TestClusteredSequencesInOneBatchAreAlone(t *testing.T) {
	for _, name := range shapes() {
		m := synthModel(t, name, quant.Q8_0)
		r := newRunner(t, m, 2)
		begin := []func() *Sequence{
			func() *Sequence {
				return clusteredSequence(t, m, quant.F16, 100, "segment=32,local=10,sinks=4,estimate=0.3")
			},
			func() *Sequence { return newSequence(t, m, quant.F16) },
			func() *Sequence { return clusteredSequence(t, m, quant.F32, 160, "segment=64,local=30,sinks=4") },
			func() *Sequence {
				method, err := attention.NewMethod("retrieval:summary=mean,block=16,local=16", 90)
				if err != nil {
					t.Fatal(err)
				}
				seq, err := m.NewSequence(SequenceOptions{Rows: quant.F16, Attention: method})
				if err != nil {
					t.Fatal(err)
				}
				return seq
			},
		}
		const length, piece = 240, 9
		want, got := make([][][]float32, len(begin)), make([][][]float32, len(begin))
		var seqs []*Sequence
		for i, f := range begin {
			want[i] = readPieces(t, r, f(), text(length, i+1), piece)
			seqs = append(seqs, f())
		}
		for at := 0; at < length; at += piece {
			var batch []Row
			var of []int
			for i, seq := range seqs {
				for j := at; j < min(at+piece, length); j++ {
					batch = append(batch, Row{Token: text(length, i+1)[j], Position: int32(j), Sequence: seq, Logits: true})
					of = append(of, i)
				}
			}
			err := r.Forward(batch, nil, func(i int, logits []float32) { got[of[i]] = append(got[of[i]], slices.Clone(logits)) })
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range want {
			sameBits(t, fmt.Sprintf("%s: text %d", name, i), got[i], want[i])
		}
	}
}

// A token is decoded in memory that is there already, as long as no segment is to be clustered.
func TestDecodingWithClustersDoesNotAllocate(t *testing.T) {
	for _, name := range shapes() {
		m := synthModel(t, name, quant.Q8_0)
		for _, threads := range []int{1, 2} {
			r := newRunner(t, m, threads)
			seq := clusteredSequence(t, m, quant.F16, 400, "segment=256,local=64,estimate=0.25")
			if _, err := r.Fill(seq, 16+9*256+64, 512); err != nil { // with room in the last page
				t.Fatal(err)
			}
			batch := []Row{{Token: 3, Sequence: seq, Logits: true}}
			decode := func() {
				batch[0].Position = int32(seq.Cache.Seen())
				if err := r.Forward(batch, nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				decode() // the most that a choice takes varies a little
			}
			if got := allocations(func() {
				for range 5 {
					decode()
				}
			}); got != 0 {
				t.Errorf("%s, %d threads: %v allocations for 5 tokens", name, threads, got)
			}
		}
	}
}
