package mneme

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

func sameBits(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("%s: other logits after token %d", what, i)
		}
	}
}

// Where no channel is pruned, or the text is no longer than the rows that keep all of theirs, logits are those of whole
// keys, bit for bit.
func TestThinkThatPrunesNothing(t *testing.T) {
	const n = 300
	for _, shape := range []string{"llama-tiny", "qwen3-tiny", "gemma2-tiny"} {
		m := synthModel(t, shape)
		ids := text(m, n)
		for policy, budget := range map[string]int{"full": 0, "h2o:recent=20": 100} {
			s := newSession(t, m, WithPolicy(policy), WithKVBudget(budget), WithPrefillBlock(64))
			want := readAll(t, s, ids)
			for _, think := range []string{"+think:ratio=0", "+think:recent=1000"} {
				s := newSession(t, m, WithPolicy(policy+think), WithKVBudget(budget), WithPrefillBlock(64))
				sameBits(t, shape+", "+policy+think, readAll(t, s, ids), want)
				if got := s.Stats().Memory.Policy; got != policy+think {
					t.Errorf("the policy is %s", got)
				}
			}
		}
	}
}

// think takes nothing but channels of keys of rows that are old: a text in one block, whose keys are pruned after it, has
// the logits of whole keys, and what comes then has others.
func TestThinkPrunesBehindTheBlock(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids := text(m, 340)
	whole := readAll(t, newSession(t, m, WithPrefillBlock(300)), ids)
	pruned := newSession(t, m, WithPolicy("full+think"), WithPrefillBlock(300))
	got := readAll(t, pruned, ids)
	sameBits(t, "the first block", got[:300], whole[:300])
	if slices.Equal(got[320], whole[320]) {
		t.Error("the second block has the logits of whole keys")
	}
	cfg := pruned.sequence.Cache.Config()
	for l := range cfg.Layers {
		for h := range cfg.Heads {
			view := pruned.sequence.Cache.View(l, h)
			if n := len(view.Channels()); n != 32-12 || view.Rows() != len(ids) {
				t.Fatalf("layer %d, head %d: %d channels, %d rows", l, h, n, view.Rows())
			}
		}
	}
}

// Keys of half the width are half the bytes, for all rows but those of a page; a text within a page takes as much as it
// does with whole keys.
func TestThinkTakesLessMemory(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	const n = 1100
	cfg := m.Config()
	lists, dim := int64(cfg.Layers*cfg.KVHeads), int64(cfg.KeyDim)
	options := []SessionOption{WithPolicy("full+think:ratio=0.5"), WithPrefillBlock(128)}
	s := newSession(t, m, options...)
	page := func(keyDim int64) int64 { return kvcache.PageRows * (2*keyDim + 2*dim + 4) }
	short := newSession(t, m, options...)
	if err := short.Evaluate(t.Context(), text(m, 100), nil); err != nil {
		t.Fatal(err)
	}
	if got := short.Stats().Memory.KVBytes; got != lists*page(dim) {
		t.Errorf("%d bytes for a text within a page, want %d", got, lists*page(dim))
	}
	if err := s.Evaluate(t.Context(), text(m, n), nil); err != nil {
		t.Fatal(err)
	}
	want := lists * (8*page(dim/2) + page(dim)) // 992 rows are narrow, 108 wide
	mem := s.Stats().Memory
	if mem.KVBytes != want || mem.RowsKept != n || mem.Evictions != 0 {
		t.Errorf("%+v, want %d bytes", mem, want)
	}
	for i := range 300 { // token by token, pages fill and empty
		if err := s.Evaluate(t.Context(), []int32{int32(i)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	want = lists * (10*page(dim/2) + page(dim)) // 1280 and 120
	if got := s.Stats().Memory.KVBytes; got != want {
		t.Errorf("%d bytes after %d tokens, want %d", got, s.Len(), want)
	}
	plan, err := m.Plan(s.Len(), options...)
	whole, wholeErr := m.Plan(s.Len())
	if err != nil || wholeErr != nil {
		t.Fatal(err, wholeErr)
	}
	if peak := s.Stats().Memory.KVBytesPeak; peak > plan.KVBytes || plan.KVBytes >= whole.KVBytes {
		t.Errorf("a peak of %d bytes, planned %d, and %d with whole keys", peak, plan.KVBytes, whole.KVBytes)
	}
	if plan.StateBytes == 0 {
		t.Error("nothing planned for queries")
	}
}

// With think behind it a policy stays within its budget, and within what is planned.
func TestThinkWithinBudget(t *testing.T) {
	m := synthModel(t, "qwen3-tiny")
	const budget, block = 200, 96
	policies(t, func(t *testing.T, kind kvcache.Kind) {
		for _, heads := range []string{"uniform", "pair"} {
			for _, rows := range []quant.Type{quant.F16, quant.Q8_0} {
				options := []SessionOption{
					WithPolicy(kind.Name + ":positions=text,heads=" + heads + "+think:ratio=0.5"), WithKVBudget(budget),
					WithPrefillBlock(block), WithKVType(rows),
				}
				s := newSession(t, m, options...)
				bound, err := m.Plan(1000, options...)
				if err != nil {
					t.Fatal(err)
				}
				cache, ids := s.sequence.Cache, text(m, 700)
				check := func(where string) {
					t.Helper()
					for l := range m.Config().Layers {
						rows := 0
						for h := range m.Config().KVHeads {
							rows += cache.Len(l, h)
						}
						if rows > budget*m.Config().KVHeads {
							t.Fatalf("%s, %s: layer %d holds %d rows", where, heads, l, rows)
						}
					}
					if cache.PeakBytes() > bound.KVBytes {
						t.Fatalf("%s, %s: %d bytes, planned were %d", where, heads, cache.PeakBytes(), bound.KVBytes)
					}
				}
				if err := s.Evaluate(t.Context(), ids[:500], nil); err != nil {
					t.Fatal(err)
				}
				check("after a prompt")
				for i := 500; i < 700; i++ {
					if err := s.Evaluate(t.Context(), ids[i:i+1], nil); err != nil {
						t.Fatal(err)
					}
					check("token by token")
				}
				view := cache.View(0, 0)
				if n := len(view.Channels()); n != 32 {
					t.Errorf("%d channels", n)
				}
				if s.Stats().Memory.Evictions == 0 {
					t.Error("no row was dropped")
				}
			}
		}
	})
}

// A text goes back as far as its keys are whole, and comes out the same again; further back only to its beginning.
func TestThinkAndTruncate(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids := text(m, 300)
	s := newSession(t, m, WithPolicy("full+think"), WithPrefillBlock(128))
	want := readAll(t, s, ids)
	const whole = 256 - 32 // what came after the second block is too little to prune
	for _, n := range []int{1, 100, whole - 1} {
		if err := s.Truncate(n); !errors.Is(err, ErrEvicted) || s.Len() != 300 {
			t.Fatalf("back to %d tokens: error %v, now there are %d", n, err, s.Len())
		}
	}
	next := text(m, 350)[300:]
	after := readAll(t, s, next[:1])
	if err := s.Truncate(300); err != nil {
		t.Fatal(err)
	}
	sameBits(t, "a token again", readAll(t, s, next[:1]), after)
	if err := s.Truncate(whole); err != nil {
		t.Fatal(err)
	}
	if err := s.Truncate(0); err != nil || s.Stats().Memory.KVBytes != 0 {
		t.Fatalf("back to the beginning: error %v, %d bytes", err, s.Stats().Memory.KVBytes)
	}
	sameBits(t, "from the beginning", readAll(t, s, ids), want)
}

// Where a caller ends the reading of a block, its rows are brought within the budget all the same.
func TestAnEndedReadingIsWithinBudget(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m, WithPolicy("h2o+think"), WithKVBudget(64), WithPrefillBlock(100))
	enough := errors.New("enough")
	for range 3 {
		err := s.Evaluate(t.Context(), text(m, 100), func(int, []float32) error { return enough })
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		if n := s.sequence.Cache.MostRows(); n > 64 {
			t.Fatalf("%d rows", n)
		}
	}
}

func TestThinkIsRefused(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	for _, x := range []struct {
		policy, say string
		options     []SessionOption
	}{
		{"think:ratio=0.4", "write full+think:ratio=0.4", nil},
		{"think", "write full+think", []SessionOption{WithKVBudget(100)}},
		{"full+think", "keeps them all", []SessionOption{WithKVBudget(100)}},
		{"h2o+think", "no budget", nil},
		{"window+think", "positions=text", []SessionOption{WithKVBudget(100)}},
		{"full+think:ratio=0.4", "multiple of 32", []SessionOption{WithKVType(quant.Q8_0)}},
		{"full+prune", "nothing called", nil},
	} {
		_, err := m.NewSession(append(x.options, WithPolicy(x.policy))...)
		if err == nil || !strings.Contains(err.Error(), x.say) {
			t.Errorf("%s: error %v, want one about %s", x.policy, err, x.say)
		}
		_, planErr := m.Plan(100, append(x.options, WithPolicy(x.policy))...)
		if fmt.Sprint(planErr) != fmt.Sprint(err) {
			t.Errorf("%s: planned: error %v, made: error %v", x.policy, planErr, err)
		}
	}
}
