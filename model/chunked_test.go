package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// chunkedModel is a random model of architecture mneme whose layers attend to chunks where a pattern has an l.
func chunkedModel(t *testing.T, pattern string, chunk int, typ quant.Type) *Model {
	t.Helper()
	kinds := make([]string, len(pattern))
	for l, c := range pattern {
		kinds[l] = map[rune]string{'l': "chunked", 'g': "full", 'w': "window"}[c]
	}
	set := map[string]any{"mneme.attention.kind": kinds, "mneme.attention.chunk_length": uint32(chunk)}
	m, err := Load(edited(t, synthFile(t, "mneme-tiny", typ), edit{set: set}))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// methodSequence makes a sequence that attends by a method, and keeps by a policy, if one is given.
func methodSequence(t *testing.T, m *Model, rows quant.Type, method, policy string, budget int) *Sequence {
	t.Helper()
	o := SequenceOptions{Rows: rows}
	var err error
	if method != "" {
		if o.Attention, err = attention.NewMethod(method, 0); err != nil {
			t.Fatal(err)
		}
	}
	if policy != "" {
		if o.Eviction, err = kvcache.NewEviction(policy, slices.Repeat([]int{budget}, m.Layers)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := m.NewSequence(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Chunks as long as the text are full attention, bit for bit, whether the model has them or the method.
func TestChunksOfTheWholeTextAreFullAttention(t *testing.T) {
	tokens := text(90, 5)
	for _, rows := range []quant.Type{quant.F32, quant.F16} {
		full := chunkedModel(t, "gg", 1, quant.F32)
		want := forward(t, newRunner(t, full, 2), newSequence(t, full, rows), tokens, 0)
		for _, chunk := range []int{90, 91, maxSize} {
			m := chunkedModel(t, "ll", chunk, quant.F32)
			sameBits(t, fmt.Sprint("the model's chunks of ", chunk), forward(t, newRunner(t, m, 2), newSequence(t, m, rows), tokens, 0), want)
			method := fmt.Sprintf("chunked:chunk=%d", chunk)
			sameBits(t, method, forward(t, newRunner(t, full, 2), methodSequence(t, full, rows, method, "", 0), tokens, 0), want)
		}
	}
}

// What the model says and what a method says, in random patterns, is what the naive model computes.
func TestChunkedForwardIsTheNaiveOne(t *testing.T) {
	type piece struct{ chunk, window int }
	texts := uint64(24)
	if testing.Short() {
		texts = 6
	}
	for seed := range texts {
		rng := rand.New(rand.NewPCG(seed, 9))
		shape := []string{"mneme-tiny", "llama-tiny", "gemma2-tiny"}[rng.IntN(3)]
		file := synthFile(t, shape, quant.F32)
		sees := make([][]piece, 4) // of each layer, of as many as the largest of the shapes has
		if shape == "mneme-tiny" {
			kinds := make([]string, 2)
			chunk, window := 1+rng.IntN(40), 1+rng.IntN(40)
			for l := range kinds {
				kinds[l] = []string{"full", "window", "chunked"}[rng.IntN(3)]
				switch kinds[l] {
				case "window":
					sees[l] = append(sees[l], piece{window: window})
				case "chunked":
					sees[l] = append(sees[l], piece{chunk: chunk})
				}
			}
			file = edited(t, file, edit{set: map[string]any{
				"mneme.attention.kind": kinds, "mneme.attention.chunk_length": uint32(chunk), "mneme.attention.sliding_window": uint32(window),
			}})
		}
		m, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		method := ""
		if rng.IntN(3) > 0 {
			x := piece{chunk: 1 + rng.IntN(40)}
			method = fmt.Sprintf("chunked:chunk=%d", x.chunk)
			if rng.IntN(2) == 0 {
				x.window = 1 + rng.IntN(40)
				method += fmt.Sprintf(",window=%d", x.window)
			}
			pattern := []string{"l", "lg", "gl"}[rng.IntN(3)]
			method += ",layers=" + pattern
			for l := range sees {
				if pattern[l%len(pattern)] == 'l' {
					sees[l] = append(sees[l], x)
				}
			}
		}
		n := naive{file: file, cfg: m.Config}
		n.from = func(l, i int) int {
			first := 0
			if shape != "mneme-tiny" {
				first = max(0, i-n.window(l)+1)
			}
			for _, x := range sees[l] {
				if x.chunk > 0 {
					first = max(first, i/x.chunk*x.chunk)
				}
				if x.window > 0 {
					first = max(first, i-x.window+1)
				}
			}
			return first
		}
		tokens := text(50+rng.IntN(20), int(seed))
		want := n.logits(tokens)
		for _, impl := range kernels.Implementations() {
			r := NewRunner(m, impl, 1)
			got := forward(t, r, methodSequence(t, m, quant.F32, method, "", 0), tokens, 0)[len(tokens)-1]
			r.Close()
			for i, w := range want {
				if !(math.Abs(float64(got[i])-w) < 1e-3) {
					t.Fatalf("%s, %s %v, method %q, %d tokens: logit %d is %v, want %v", impl.Name, shape, sees, method, len(tokens), i, got[i], w)
				}
			}
		}
	}
}

// chunkedCases are ways to have all layers local, or some.
var chunkedCases = []struct {
	pattern string // of the model's layers
	method  string
	local   int // the length of chunks outside which no layer sees anything; 0: some layers see all
}{
	{"ll", "", 32}, {"lg", "", 0}, {"gl", "chunked:chunk=20,layers=lg", 0}, {"gg", "chunked:chunk=32", 32}, {"ll", "chunked:chunk=16", 16}, {"ww", "chunked:chunk=32", 32},
	{"gg", "chunked:chunk=64,window=40", 64},
}

// A text read in pieces, and token by token, in rows of any type, is the text read at once; with more threads it is the same
// bits.
func TestChunkedPrefillInPiecesIsPrefillAtOnce(t *testing.T) {
	tokens := text(150, 3)
	for _, c := range chunkedCases {
		m := chunkedModel(t, c.pattern, 32, quant.Q8_0)
		one, two := newRunner(t, m, 1), newRunner(t, m, 2)
		for _, rows := range []quant.Type{quant.F32, quant.F16} {
			want := forward(t, one, methodSequence(t, m, rows, c.method, "", 0), tokens, 0)
			for _, size := range []int{1, 7, 33, 149, 150} {
				seq := methodSequence(t, m, rows, c.method, "", 0)
				var got [][]float32
				for at := 0; at < len(tokens); at += size {
					got = append(got, forward(t, two, seq, tokens[at:min(at+size, len(tokens))], at)...)
				}
				for i := range want {
					sameLogits(t, fmt.Sprintf("%s %s, %s, pieces of %d, token %d", c.pattern, c.method, rows, size, i), got[i], want[i])
				}
				if size == len(tokens) {
					sameBits(t, fmt.Sprintf("%s %s, %s, two threads", c.pattern, c.method, rows), got, want)
				}
			}
		}
	}
}

// Over a long past threads share a tile's segments, of which local layers see the last ones: the same bits as from one thread.
func TestChunksAreSharedOut(t *testing.T) {
	const past = kvcache.PageRows*attention.SegmentSpans + 300
	for _, c := range chunkedCases {
		m := chunkedModel(t, c.pattern, 32, quant.Q8_0)
		var want [][]float32
		for _, threads := range []int{1, 2} {
			r, seq := newRunner(t, m, threads), methodSequence(t, m, quant.F16, c.method, "", 0)
			if err := fillNoise(t, seq, past); err != nil {
				t.Fatal(err)
			}
			got := append(forward(t, r, seq, text(1, 3), past), forward(t, r, seq, text(50, 4), past+1)...)
			if threads == 1 {
				want = got
			}
			sameBits(t, fmt.Sprintf("%s %s", c.pattern, c.method), got, want)
		}
	}
}

// Tokens change nothing that comes before them, and where all layers have chunks nothing in the chunks after their own.
func TestChunksAreCausal(t *testing.T) {
	tokens := text(140, 6)
	for _, c := range chunkedCases {
		m := chunkedModel(t, c.pattern, 32, quant.F32)
		r := newRunner(t, m, 1)
		before := forward(t, r, methodSequence(t, m, quant.F16, c.method, "", 0), tokens, 0)
		for _, at := range []int{0, 31, 32, 77, 139} {
			other := slices.Clone(tokens)
			other[at] = (other[at]+1)%500 + 3
			after := forward(t, r, methodSequence(t, m, quant.F16, c.method, "", 0), other, 0)
			for i := range after {
				sees := i >= at && (c.local == 0 || i/c.local == at/c.local)
				if same := slices.Equal(after[i], before[i]); !sees && !same || i == at && same {
					t.Fatalf("%s %s: token %d changed, the logits after %d are the same: %v", c.pattern, c.method, at, i, same)
				}
			}
		}
	}
}

// A text at positions that are a whole number of chunks further on has the same logits: RoPE tells distances alone.
func TestChunksMoveWithTheText(t *testing.T) {
	tokens := text(100, 8)
	for _, c := range chunkedCases {
		m := chunkedModel(t, c.pattern, 32, quant.F32)
		r := newRunner(t, m, 1)
		want := forward(t, r, methodSequence(t, m, quant.F32, c.method, "", 0), tokens, 0)
		for _, by := range []int{320, 6400} { // multiples of all lengths of chunks above
			got := forward(t, r, methodSequence(t, m, quant.F32, c.method, "", 0), tokens, by)
			for i := range want {
				for j, w := range want[i] {
					if !(math.Abs(float64(got[i][j]-w)) < 5e-3) {
						t.Fatalf("%s %s, moved by %d: logit %d of token %d is %v, want %v", c.pattern, c.method, by, j, i, got[i][j], w)
					}
				}
			}
		}
	}
}

// Texts that attend by different methods are alone in a batch.
func TestMethodsInOneBatchAreAlone(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.Q8_0)
	r := newRunner(t, m, 2)
	methods := []string{"", "chunked:chunk=8", "full", "chunked:window=5,layers=lg"}
	var batch []Row
	var alone [][]float32
	for k, method := range methods {
		tokens := text(40, k)
		alone = append(alone, forward(t, r, methodSequence(t, m, quant.F16, method, "", 0), tokens, 0)...)
		seq := methodSequence(t, m, quant.F16, method, "", 0)
		for i, id := range tokens {
			batch = append(batch, Row{Token: id, Position: int32(i), Sequence: seq, Logits: true})
		}
	}
	err := r.Forward(batch, nil, func(i int, logits []float32) {
		sameLogits(t, fmt.Sprintf("method %q, token %d", methods[i/40], i%40), logits, alone[i])
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Chunks are pieces of the text, also where a policy drops rows and the keys of those that are left are rotated to positions
// without gaps: as long as the rows of its own chunk are kept, a query sees what it sees in a cache that keeps all.
func TestChunksWithinABudget(t *testing.T) {
	tokens := text(300, 4)
	for _, c := range chunkedCases {
		if c.local == 0 {
			continue
		}
		m := chunkedModel(t, c.pattern, 32, quant.F32)
		r := newRunner(t, m, 1)
		want := forward(t, r, methodSequence(t, m, quant.F32, c.method, "", 0), tokens, 0)
		for _, policy := range []string{"window", "window:positions=text", "window:sinks=0"} {
			seq := methodSequence(t, m, quant.F32, c.method, policy, 100)
			dropped := int64(0)
			for at := 0; at < len(tokens); {
				n, err := r.Evict(seq, 0)
				if err != nil {
					t.Fatal(err)
				}
				dropped += n
				size := min(1+at%11, len(tokens)-at)
				for i, logits := range forward(t, r, seq, tokens[at:at+size], at) {
					for j, w := range want[at+i] {
						if !(math.Abs(float64(logits[j]-w)) < 5e-3) {
							t.Fatalf("%s %s, %s, token %d: logit %d is %v, want %v", c.pattern, c.method, policy, at+i, j, logits[j], w)
						}
					}
				}
				at += size
			}
			if dropped == 0 || seq.packed() == strings.Contains(policy, "text") {
				t.Fatalf("%s: %d rows dropped, packed: %v", policy, dropped, seq.packed())
			}
		}
	}
}
