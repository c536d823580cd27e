package mneme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// The landmarks of landmarkModel.
const (
	landmarkID    = 511
	landmarkBlock = 5
)

// landmarkModel is a random model with landmarks.
func landmarkModel(t testing.TB, heads int, opts ...ModelOption) *Model {
	t.Helper()
	file, err := weights.Parse(landmarkBytes(t, heads, nil))
	if err != nil {
		t.Fatal(err)
	}
	m, err := newModel(file, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// landmarkBytes is its file, with some of its metadata set.
func landmarkBytes(t testing.TB, heads int, set map[string]any) []byte {
	t.Helper()
	shape, err := synth.Lookup("mneme-tiny")
	if err != nil {
		t.Fatal(err)
	}
	shape.Heads, shape.KVHeads = heads, (heads+1)/2
	var plain bytes.Buffer
	if err := synth.WriteTo(context.Background(), &plain, shape, quant.F32, 1); err != nil {
		t.Fatal(err)
	}
	file, err := weights.Parse(plain.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	md := file.Metadata().Clone()
	values := map[string]any{
		"kind": "landmark", "landmark.block_length": uint32(landmarkBlock), "landmark.token_id": uint32(landmarkID),
		"landmark.local": uint32(40), "landmark.blocks": uint32(3),
	}
	maps.Copy(values, set)
	for key, value := range values {
		if err := md.Set("mneme.attention."+key, value); err != nil {
			t.Fatal(err)
		}
	}
	var infos []weights.TensorInfo
	for _, x := range file.Tensors() {
		infos = append(infos, weights.TensorInfo{Name: x.Name, Type: x.Type, Shape: x.Shape})
	}
	var data bytes.Buffer
	w, err := weights.NewWriter(&data, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range file.Tensors() {
		if err := w.WriteTensor(x.Name, x.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// landmarkText is a text without landmarks.
func landmarkText(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(3 + i*i*7%499)
	}
	return ids
}

// readAll are the logits after each token of a text that is read in pieces of so many tokens.
func readPieces(t *testing.T, s *Session, tokens []int32, step int) (all [][]float32) {
	t.Helper()
	for at := 0; at < len(tokens); at += step {
		err := s.Evaluate(context.Background(), tokens[at:min(at+step, len(tokens))], func(_ int, logits []float32) error {
			all = append(all, slices.Clone(logits))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) != len(tokens) {
		t.Fatalf("logits after %d of %d tokens", len(all), len(tokens))
	}
	return all
}

func sameLogits(t *testing.T, how string, got, want [][]float32) {
	t.Helper()
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("%s: logits after token %d differ", how, i)
		}
	}
}

// With all blocks open, positions are the true ones, and a text comes to the same however it is cut up: at once, in blocks, in
// pieces that blocks end within, token by token; after it was taken back to wherever it was.
func TestLandmarksOfAnyPieces(t *testing.T) {
	m := landmarkModel(t, 4)
	for _, rows := range []quant.Type{quant.F32, quant.F16} {
		open := func(method string) *Session { return newSession(t, m, WithKVType(rows), WithAttention(method)) }
		tokens := landmarkText(83)
		want := readPieces(t, open("landmark:blocks=1000,local=1000"), tokens, len(tokens))
		for _, c := range []struct {
			local, step int
		}{{1000, landmarkBlock}, {1000, 3 * landmarkBlock}, {landmarkBlock, 1000}, {1000, 7}, {12, 1000}, {9, 31}, {1000, 1}, {1, 1000}} {
			s := open(fmt.Sprintf("landmark:blocks=1000,local=%d", c.local))
			sameLogits(t, fmt.Sprintf("%+v", c), readPieces(t, s, tokens, c.step), want)
			for _, n := range []int{81, 80, 79, 41, 40, 39, 5, 4, 0} {
				if err := s.Truncate(n); err != nil {
					t.Fatal(err)
				}
				if rows := s.sequence.Cache.Len(1, 1); rows != n+n/landmarkBlock || s.Len() != n {
					t.Fatalf("%d rows of %d tokens after truncating to %d", rows, s.Len(), n)
				}
				sameLogits(t, fmt.Sprintf("%+v, from %d on", c, n), readPieces(t, s, tokens[n:], c.step), want[n:])
			}
		}
	}
}

// Blocks that a query may not open are out of reach, but for the ones that are read with it.
func TestLandmarksOfClosedBlocks(t *testing.T) {
	m := landmarkModel(t, 4)
	tokens := landmarkText(150)
	all := readPieces(t, newSession(t, m, WithAttention("landmark:blocks=1000")), tokens, 1)
	few := readPieces(t, newSession(t, m, WithAttention("landmark:blocks=3")), tokens, 1)
	sameLogits(t, "the first blocks", few[:4*landmarkBlock], all[:4*landmarkBlock])
	if slices.Equal(few[149], all[149]) {
		t.Error("three of many blocks say what all say")
	}
}

// Modes in which queries share the blocks that they open are one where there is nobody to share with: a token that is read
// alone, without a landmark behind it, and a single head.
func TestLandmarkModesWithNobodyToShareWith(t *testing.T) {
	tokens := landmarkText(120)
	m := landmarkModel(t, 4)
	alone, shared := newSession(t, m, WithAttention("landmark:blocks=2")), newSession(t, m, WithAttention("landmark:blocks=2,share=tokens"))
	for i := range tokens {
		if err := shared.sequence.Cache.Restore(alone.sequence.Cache.Snapshot()); err != nil {
			t.Fatal(err)
		}
		shared.tokens = slices.Clone(alone.tokens)
		a, b := readPieces(t, alone, tokens[i:i+1], 1), readPieces(t, shared, tokens[i:i+1], 1)
		if (i+1)%landmarkBlock > 0 {
			sameLogits(t, fmt.Sprintf("token %d", i), b, a)
		}
	}
	for _, c := range []struct {
		heads int
		share string
		same  bool
	}{{1, "heads", true}, {1, "tokens", false}, {4, "heads", false}} {
		m := landmarkModel(t, c.heads)
		read := func(method string) [][]float32 {
			return readPieces(t, newSession(t, m, WithAttention(method)), tokens, 40)
		}
		shared, alone := read("landmark:blocks=2,share="+c.share), read("landmark:blocks=2")
		if c.same {
			sameLogits(t, fmt.Sprintf("%+v", c), shared, alone)
		} else if slices.Equal(shared[119], alone[119]) {
			t.Errorf("%+v: sharing changes nothing", c)
		}
	}
}

// In a memory of some blocks the oldest is out of reach as soon as there is one more. What is beyond reach is seen by changing
// it where it is stored.
func TestLandmarkMemory(t *testing.T) {
	m := landmarkModel(t, 4)
	const memory = 6
	method := WithAttention(fmt.Sprintf("landmark:blocks=%d,memory=%d", memory, memory))
	for _, blocks := range []int{memory - 1, memory, memory + 1, memory + 30} {
		s := newSession(t, m, WithKVType(quant.F32), method)
		tokens := landmarkText(blocks*landmarkBlock + 2)
		readPieces(t, s, tokens[:len(tokens)-1], 3)
		before, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		last := readPieces(t, s, tokens[len(tokens)-1:], 1)
		for block := max(0, blocks-memory-2); block < blocks; block++ {
			if err := s.Restore(before); err != nil {
				t.Fatal(err)
			}
			for head := range 2 * 2 {
				err := s.sequence.Cache.ChangeKeys(head/2, head%2, func(position int32, key []float32) {
					if int(position)/(landmarkBlock+1) == block {
						for i := range key {
							key[i] += float32(i%3) * float32(position%2)
						}
					}
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			changed := readPieces(t, s, tokens[len(tokens)-1:], 1)
			if reached := !slices.Equal(changed[0], last[0]); reached != (block >= blocks-memory) {
				t.Errorf("%d blocks, a memory of %d: block %d reached: %v", blocks, memory, block, reached)
			}
		}
	}
}

// However long the text, its rows are those of the memory and less than a page more; it can be taken back as far as these reach.
func TestLandmarkMemoryIsBounded(t *testing.T) {
	m := landmarkModel(t, 4)
	const memory = 30
	s := newSession(t, m, WithAttention(fmt.Sprintf("landmark:memory=%d", memory)))
	const most = (memory+1)*(landmarkBlock+1) + 128 + 40 + 8
	tokens := landmarkText(4000)
	for at := 0; at < len(tokens); at += 200 {
		readPieces(t, s, tokens[at:at+200], 200)
		st := s.Stats().Memory
		if st.RowsKept > most || st.RowsSeen != at+200 {
			t.Fatalf("%d rows kept of %d tokens, want no more than %d", st.RowsKept, at+200, most)
		}
	}
	bytes, err := s.sequence.Cache.Config().Bytes(most)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Memory.KVBytesPeak; got > bytes {
		t.Errorf("%d bytes at the most, want no more than %d", got, bytes)
	}
	if err := s.Truncate(3000); !errors.Is(err, ErrEvicted) {
		t.Errorf("back to 3000 tokens: error %v", err)
	}
	if s.Len() != 4000 {
		t.Errorf("%d tokens after what could not be done", s.Len())
	}
	want := readPieces(t, s, tokens[:1], 1)
	if err := s.Truncate(4000); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "session")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded := newSession(t, m, WithAttention(fmt.Sprintf("landmark:memory=%d", memory)))
	if err := loaded.Load(path); err != nil {
		t.Fatal(err)
	}
	sameLogits(t, "loaded", readPieces(t, loaded, tokens[:1], 1), want)
}

func TestLandmarkRefusals(t *testing.T) {
	m, plain := landmarkModel(t, 4), synthModel(t, "llama-tiny")
	s := newSession(t, m)
	ctx := context.Background()
	for what, c := range map[string]struct {
		do   func() error
		want string
	}{
		"a landmark in the text": {func() error { return s.Evaluate(ctx, []int32{5, landmarkID, 6}, nil) }, "token 511 is the landmark"},
		"one in the prompt":      {func() error { return last(s.GenerateTokens(ctx, []int32{5, landmarkID})) }, "token 511 is the landmark"},
		"a model without landmarks": {func() error {
			_, err := plain.NewSession(WithAttention("landmark"))
			return err
		}, "llama carries none"},
		"a budget of less than a block": {func() error {
			_, err := m.NewSession(WithAttention("landmark"), WithKVBudget(landmarkBlock))
			return err
		}, "a budget of 5 rows is less than a block, which has 6"},
		"more blocks to open than are kept": {func() error {
			_, err := m.NewSession(WithAttention("landmark:blocks=9,memory=8"))
			return err
		}, "9 blocks to open, and 8 are kept"},
		"rows that go besides": {func() error {
			_, err := m.NewSession(WithPolicy("window"), WithKVBudget(64))
			return err
		}, "choose one of the two"},
	} {
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one with %q", what, err, c.want)
		}
	}
	if s.Len() != 0 {
		t.Errorf("%d tokens after what was refused", s.Len())
	}
	// Where a model with landmarks is to attend as others do, the token is one like any.
	full := newSession(t, m, WithAttention("full"))
	readPieces(t, full, []int32{5, landmarkID, 6}, 3)
}

// Numbers in a file or in a method that are larger than any text cost nothing.
func TestLandmarksBeyondCounting(t *testing.T) {
	most := uint32(1 << 28) // that a file may say
	tokens := landmarkText(50)
	for what, c := range map[string]struct {
		set    map[string]any
		method string
	}{
		"long blocks":      {map[string]any{"landmark.block_length": most}, ""},
		"blocks of 1":      {map[string]any{"landmark.block_length": uint32(1)}, ""},
		"many blocks":      {map[string]any{"landmark.blocks": most, "landmark.local": most}, ""},
		"all of it":        {map[string]any{"landmark.blocks": most, "landmark.local": most, "landmark.block_length": most}, "landmark:memory=2147483647"},
		"asked for":        {nil, "landmark:blocks=2147483647,local=2147483647,memory=2147483647"},
		"shared":           {nil, "landmark:blocks=2147483647,share=tokens"},
		"a budget of rows": {nil, "landmark"},
	} {
		file, err := weights.Parse(landmarkBytes(t, 4, c.set))
		if err != nil {
			t.Fatal(err)
		}
		m, err := newModel(file, []ModelOption{WithThreads(1)})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		opts := []SessionOption{WithAttention(c.method)}
		if c.method == "landmark" {
			opts = append(opts, WithKVBudget(math.MaxInt))
		}
		readPieces(t, newSession(t, m, opts...), tokens, 7)
		if _, err := m.Plan(100, opts...); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		m.Close()
	}
}

// A session does not write landmarks, whatever the model would like to.
func TestLandmarksAreNotWritten(t *testing.T) {
	m := landmarkModel(t, 4)
	s := newSession(t, m)
	options := sample.Default()
	options.LogitBias = map[int32]float32{landmarkID: 1e6}
	for token, err := range s.GenerateTokens(context.Background(), []int32{9}, WithMaxTokens(60), WithIgnoreEnd(), WithSampling(options)) {
		if err != nil {
			t.Fatal(err)
		}
		if token.ID == landmarkID {
			t.Fatal("a landmark was written")
		}
	}
	if n := s.Len(); n != 61 || slices.Contains(s.Tokens(), landmarkID) {
		t.Errorf("a text of %d tokens: %v", n, s.Tokens())
	}
}

// What a session with landmarks takes is no more than what is planned for it.
func TestPlanCoversLandmarks(t *testing.T) {
	m := landmarkModel(t, 4)
	for _, method := range []string{"", "landmark:local=7", "landmark:memory=9", "landmark:memory=40,local=100", "landmark:memory=1000"} {
		opts := []SessionOption{WithAttention(method), WithPrefillBlock(50)}
		s := newSession(t, m, opts...)
		for _, n := range []int{1, 30, 1, 200, 1, 4, 900, 1, 300} {
			if err := s.Evaluate(t.Context(), landmarkText(n), nil); err != nil {
				t.Fatal(err)
			}
			plan, err := m.Plan(s.Len(), opts...)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Stats().Memory; got.KVBytesPeak > plan.KVBytes || got.StateBytes > plan.StateBytes {
				t.Fatalf("%q, %d tokens: %d bytes of rows and %d of state, planned were %d and %d", method, s.Len(), got.KVBytesPeak, got.StateBytes, plan.KVBytes, plan.StateBytes)
			}
		}
	}
	short, err := m.Plan(1000, WithAttention("landmark:memory=9"))
	if err != nil {
		t.Fatal(err)
	}
	long, err := m.Plan(1<<40, WithAttention("landmark:memory=9"))
	if err != nil || long.KVBytes != short.KVBytes || long.StateBytes != short.StateBytes {
		t.Errorf("planned are %+v for much, %+v for little, %v", long, short, err)
	}
}

// What is opened of what a query chooses by: all of it at first, less from then on. To ask for it changes nothing.
func TestLandmarkAttentionMass(t *testing.T) {
	m := landmarkModel(t, 4)
	for _, method := range []string{"landmark:blocks=3,local=8", "landmark:blocks=3,local=8,memory=20"} {
		s, plain := newSession(t, m, WithAttention(method)), newSession(t, m, WithAttention(method))
		if !s.OpensSome() {
			t.Error("all blocks are opened")
		}
		tokens := landmarkText(700)
		for at := 0; at < len(tokens); {
			n := min(1+at%17, len(tokens)-at)
			sameLogits(t, fmt.Sprintf("%s, tokens from %d on", method, at), readPieces(t, s, tokens[at:at+n], n), readPieces(t, plain, tokens[at:at+n], n))
			at += n
			mass, err := s.AttentionMass(t.Context())
			if all := (at-1)/landmarkBlock <= 3; err != nil || all != (mass == 1) || !(mass > 0 && mass <= 1) {
				t.Fatalf("%s, %d tokens: attention mass %g, %v", method, at, mass, err)
			}
			if again, err := s.AttentionMass(t.Context()); err != nil || again != mass {
				t.Fatalf("%s, %d tokens: attention mass %g, then %g, %v", method, at, mass, again, err)
			}
		}
	}
}

// Rows in a file are the rows that would lie in memory.
func TestLandmarksInAFileOrNot(t *testing.T) {
	m := landmarkModel(t, 4)
	tokens := landmarkText(600)
	for _, method := range []string{"landmark:blocks=3,local=8", "landmark:blocks=3,share=tokens", "landmark:blocks=2,memory=20"} {
		here, there := newSession(t, m, WithAttention(method)), newSession(t, m, WithAttention(method), WithKVStore(filepath.Join(t.TempDir(), "rows")))
		want := readPieces(t, here, tokens, 100)
		sameLogits(t, method, readPieces(t, there, tokens, 100), want)
		if st := there.Stats().Memory; st.StoreBytes == 0 || st.KVBytes > 0 {
			t.Errorf("%s: %d bytes in the file, %d in memory", method, st.StoreBytes, st.KVBytes)
		}
		if err := there.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A token costs no allocation, nor do the blocks that are made and dropped on the way.
func TestGeneratingWithLandmarksAllocatesNothing(t *testing.T) {
	const short, long = 10, 410
	const pages = 100 // and lists that grow: less than one for each of the 80 blocks of 4 heads
	for _, method := range []string{"", "landmark:memory=8"} {
		m := landmarkModel(t, 4)
		m.tokenizer = nil
		s := newSession(t, m, WithAttention(method))
		writing := func(n int) float64 {
			return testing.AllocsPerRun(1, func() {
				if err := last(s.GenerateTokens(context.Background(), []int32{5, 6, 7}, WithMaxTokens(n), WithIgnoreEnd())); err != nil {
					t.Fatal(err)
				}
				if err := s.Truncate(0); err != nil {
					t.Fatal(err)
				}
			})
		}
		writing(long)
		if begin, all := writing(short), writing(long); all > begin+pages {
			t.Errorf("%q: %v allocations for %d tokens, %v for %d", method, begin, short, all, long)
		}
	}
}
