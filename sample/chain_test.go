package sample

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// everything returns options under which every sampler runs.
func everything(seed uint64) Options {
	o := Default()
	o.Seed = seed
	o.TopNSigma, o.TypicalP, o.XTCProbability, o.TopK = 3, .99, .3, 200
	o.RepeatPenalty, o.FrequencyPenalty, o.PresencePenalty = 1.1, .1, .1
	o.DRYMultiplier, o.DRYLastN = .8, 100
	o.Vocabulary = words{"a", "b", "\n", ":", "\"", "*"}
	o.DynamicRange, o.DynamicExponent = .3, 1.5
	o.LogitBias = map[int32]float32{3: 1, 9: float32(math.Inf(-1))}
	return o
}

func withMirostat(o Options) Options {
	o.Mirostat = 2
	return o
}

// noise returns the nth row of a text: the same for the same n.
func noise(n, vocabulary int) []float32 {
	rng := rand.New(rand.NewPCG(uint64(n), 77))
	row := make([]float32, vocabulary)
	for i := range row {
		row[i] = float32(rng.NormFloat64() * 3)
	}
	return row
}

// run samples and accepts n tokens.
func run(t rapid.TB, c *Chain, from, n int) []int32 {
	t.Helper()
	var text []int32
	for i := range n {
		id := mustSample(t, c, noise(from+i, 500))
		c.Accept(id)
		text = append(text, id)
	}
	return text
}

func TestSameSeedSameText(t *testing.T) {
	for _, set := range []func(Options) Options{func(o Options) Options { return o }, withMirostat} {
		a := run(t, mustNew(t, set(everything(1))), 0, 200)
		b := run(t, mustNew(t, set(everything(1))), 0, 200)
		c := run(t, mustNew(t, set(everything(2))), 0, 200)
		if !slices.Equal(a, b) {
			t.Error("the same seed gave another text")
		}
		if slices.Equal(a, c) {
			t.Error("another seed gave the same text")
		}
	}
}

// TestSameTextEverywhere holds the text of a seed to one value on every platform and in every version.
func TestSameTextEverywhere(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want []int32
	}{
		{"default", Default(), []int32{29, 16, 0, 19, 35, 14, 9, 34, 3, 17, 28, 23, 20, 1, 17, 15, 8, 30, 23, 0, 14, 18, 15, 12}},
		{"everything", everything(1), []int32{10, 33, 30, 3, 34, 12, 5, 38, 11, 18, 3, 39, 24, 31, 1, 29, 28, 13, 26, 2, 20, 8, 2, 8}},
		{"mirostat", withMirostat(everything(1)), []int32{3, 11, 4, 34, 30, 30, 1, 0, 29, 35, 36, 11, 3, 3, 13, 39, 38, 13, 12, 21, 33, 1, 30, 39}},
	} {
		chain := mustNew(t, c.o)
		var got []int32
		for i := range 24 {
			row := make([]float32, 40) // integers: no library function decides them
			for j := range row {
				row[j] = float32((i*7+j*j*3)%17) / 4
			}
			id := mustSample(t, chain, row)
			chain.Accept(id)
			got = append(got, id)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: text %#v, want %#v", c.name, got, c.want)
		}
	}
}

func TestReset(t *testing.T) {
	for _, o := range []Options{everything(5), withMirostat(everything(5))} {
		chain := mustNew(t, o)
		first := run(t, chain, 0, 100)
		chain.Reset()
		if got := chain.Candidates(); len(got) != 0 || chain.Selected() != (Candidate{}) {
			t.Errorf("candidates %v, selected %v after Reset", got, chain.Selected())
		}
		if again := run(t, chain, 0, 100); !slices.Equal(first, again) {
			t.Error("another text after Reset")
		}
	}
}

func TestCloneContinues(t *testing.T) {
	for _, o := range []Options{everything(5), withMirostat(everything(5))} {
		chain := mustNew(t, o)
		run(t, chain, 0, 150)
		clone := chain.Clone()
		if a, b := run(t, chain, 150, 50), run(t, clone, 150, 50); !slices.Equal(a, b) {
			t.Error("the clone went another way")
		}
		// The two are independent: what one does the other does not see.
		kept := slices.Clone(chain.Candidates())
		third := chain.Clone()
		run(t, third, 3, 1)
		if !slices.Equal(chain.Candidates(), kept) {
			t.Error("a clone wrote into the candidates of its origin")
		}
		third = chain.Clone()
		run(t, chain, 7, 30)
		if a, b := run(t, clone, 200, 30), run(t, third, 200, 30); !slices.Equal(a, b) {
			t.Error("a clone was changed by its origin")
		}
	}
}

func TestSaveAndRestore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := everything(rapid.Uint64().Draw(t, "seed"))
		o.RepeatLastN = rapid.SampledFrom([]int{-1, 0, 1, 3, 64}).Draw(t, "repeat_last_n")
		o.DRYLastN = rapid.SampledFrom([]int{-1, 0, 5, 100}).Draw(t, "dry_last_n")
		o.ContextSize = rapid.SampledFrom([]int{0, 50}).Draw(t, "context")
		if rapid.Bool().Draw(t, "mirostat") {
			o = withMirostat(o)
		}
		chain, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(0, 300).Draw(t, "prompt")
		for i := range n {
			chain.Accept(int32(i * i % 23))
		}
		run(t, chain, 0, rapid.IntRange(0, 5).Draw(t, "tokens before"))
		data, err := chain.State()
		if err != nil {
			t.Fatal(err)
		}
		want := run(t, chain, 1000, 10)
		o.Seed++ // the state says where the generator is
		other, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		run(t, other, 500, 3)
		if err := other.Restore(data); err != nil {
			t.Fatal(err)
		}
		if again, _ := other.State(); !slices.Equal(again, data) {
			t.Fatal("the restored chain saves another state")
		}
		if got := run(t, other, 1000, 10); !slices.Equal(got, want) {
			t.Fatalf("the restored chain went on with %v, want %v", got, want)
		}
	})
}

// TestRestoreIntoOtherOptions: a chain takes what its options have use for.
func TestRestoreIntoOtherOptions(t *testing.T) {
	from := mustNew(t, everything(1))
	run(t, from, 0, 120)
	data, err := from.State()
	if err != nil {
		t.Fatal(err)
	}
	o := everything(1)
	o.DRYMultiplier, o.RepeatLastN = 0, 4
	short := mustNew(t, o)
	if err := short.Restore(data); err != nil {
		t.Fatal(err)
	}
	if got, want := short.state.history.kept(), from.state.history.last(4); !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	none := mustNew(t, Default())
	if err := none.Restore(data); err != nil || len(none.state.history.tokens) != 0 {
		t.Errorf("error %v, history %v", err, none.state.history.tokens)
	}
	miro := mustNew(t, withMirostat(everything(1)))
	if err := miro.Restore(data); err != nil || miro.state.mu != 10 {
		t.Errorf("error %v, mu %v, want 10, twice tau", err, miro.state.mu)
	}
}

func TestRestoreErrors(t *testing.T) {
	chain := mustNew(t, withMirostat(everything(1)))
	run(t, chain, 0, 20)
	good, err := chain.State()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":      {nil, "0 bytes"},
		"short":      {good[:40], "40 bytes"},
		"odd":        {good[:len(good)-1], "bytes are no state"},
		"truncated":  {good[:len(good)-4], "checksum"},
		"magic":      {edit(good, 0, 'x'), `begins with "xnsc"`},
		"version":    {edit(good, 4, 9), "version 9"},
		"bit flip":   {edit(good, 60, good[60]^1), "checksum"},
		"generator":  {resum(edit(good, 8, 'x')), "not ChaCha8"},
		"rng used":   {resum(edit(good, 16, 0xff)), "generator"},
		"mu +Inf":    {resum(withMu(good, math.Inf(1))), "mu is +Inf"},
		"other text": {[]byte(strings.Repeat("mnsc", 30)), "version"},
	} {
		err := chain.Restore(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sample: restore state: ") {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if now, _ := chain.State(); !slices.Equal(now, good) {
			t.Fatalf("%s: the chain was changed by an error", name)
		}
	}
}

func edit(data []byte, at int, b byte) []byte {
	data = slices.Clone(data)
	data[at] = b
	return data
}

func withMu(data []byte, mu float64) []byte {
	data = slices.Clone(data)
	binary.LittleEndian.PutUint64(data[8+rngBytes:], math.Float64bits(mu))
	return data
}

func TestSampleErrors(t *testing.T) {
	for name, c := range map[string]struct {
		row     []float32
		want    string
		noToken bool
	}{
		"no logits":     {nil, "no logits", false},
		"all NaN":       {[]float32{nan(), nan()}, "of 2 logits 2 are NaN and 0 are -Inf", true},
		"all -Inf":      {[]float32{inf(-1), nan(), inf(-1)}, "of 3 logits 1 are NaN and 2 are -Inf", true},
		"bias too far":  {[]float32{1, 2, 3}, "logit_bias of token 9: there are 3 logits", false},
		"first is -Inf": {[]float32{inf(-1), 9: 1}, "", false},
		"usable at end": {append(slices.Repeat([]float32{nan()}, 10), 1), "", false},
	} {
		for _, o := range []Options{{}, everything(1), withMirostat(everything(1)), Default()} {
			if name != "bias too far" {
				o.LogitBias = nil
			}
			if name == "bias too far" && o.LogitBias == nil {
				continue
			}
			chain := mustNew(t, o)
			before, _ := chain.State()
			_, err := chain.Sample(c.row)
			if c.want == "" {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrNoToken) != c.noToken {
				t.Errorf("%s: error %v, want one with %q", name, err, c.want)
			}
			if len(chain.Candidates()) != 0 || chain.Selected() != (Candidate{}) {
				t.Errorf("%s: candidates %v, selected %v after an error", name, chain.Candidates(), chain.Selected())
			}
			if after, _ := chain.State(); !slices.Equal(before, after) {
				t.Errorf("%s: the state changed", name)
			}
		}
	}
	o := Options{LogitBias: map[int32]float32{0: inf(-1), 1: inf(-1)}}
	if _, err := mustNew(t, o).Sample([]float32{1, 2}); !errors.Is(err, ErrNoToken) {
		t.Errorf("every token banned: error %v", err)
	}
	// A row that fails is forgotten: the next one counts as usual.
	chain := mustNew(t, Default())
	if _, err := chain.Sample([]float32{nan()}); err == nil {
		t.Error("NaN alone: no error")
	}
	if id := mustSample(t, chain, []float32{0, 50}); id != 1 {
		t.Errorf("chose %d, want 1", id)
	}
}

// TestTies: of equal logits the lowest id comes first, whatever chooses.
func TestTies(t *testing.T) {
	row := []float32{1, 2, 2, 2, 0}
	if id := mustSample(t, mustNew(t, Options{}), row); id != 1 {
		t.Errorf("greedy chose %d, want 1", id)
	}
	zeros := []float32{float32(math.Copysign(0, -1)), 0}
	if id := mustSample(t, mustNew(t, Options{}), zeros); id != 0 {
		t.Errorf("greedy chose %d of -0 and 0, want 0", id)
	}
	for _, set := range []func(*Options){
		func(o *Options) { o.TopK = 2 },
		func(o *Options) { o.TopP = .5 },
		func(o *Options) { o.MinP, o.MinKeep, o.TopK = .99, 2, 2 },
	} {
		o := plain()
		set(&o)
		chain := mustNew(t, o)
		mustSample(t, chain, row)
		if got := ids(chain.Candidates()); !slices.Equal(got, []int32{1, 2}) {
			t.Errorf("candidates %v, want [1 2]", got)
		}
	}
}

// TestDraw compares the frequencies of 100,000 draws with the distribution, by the chi-square statistic: with 9 degrees
// of freedom it exceeds 27.9 once in a thousand seeds. The seed is fixed.
func TestDraw(t *testing.T) {
	probs := []float64{.3, .2, .15, .1, .08, .06, .05, .03, .02, .01}
	row := rowOf(probs...)
	for _, topK := range []int{0, 9, 10} {
		o := plain()
		o.Seed, o.TopK = 20, topK
		chain := mustNew(t, o)
		counts := make([]float64, len(probs))
		const draws = 100_000
		for range draws {
			counts[mustSample(t, chain, row)]++
		}
		chi := 0.0
		for _, c := range chain.Candidates() {
			want := draws * c.Prob
			chi += (counts[c.ID] - want) * (counts[c.ID] - want) / want
		}
		if chi > 27.9 {
			t.Errorf("top_k %d: chi-square %v of %v", topK, chi, counts)
		}
	}
}

// TestDrawIsDocumented repeats the draw as the package's documentation describes it.
func TestDrawIsDocumented(t *testing.T) {
	var key [32]byte
	key[0], key[1] = 0x34, 0x12
	rng := rand.NewChaCha8(key)
	o := plain()
	o.Seed = 0x1234
	chain := mustNew(t, o)
	row := rowOf(.1, .2, .3, .4)
	for range 1000 {
		u := float64(rng.Uint64()>>11) / (1 << 53)
		want := int32(0)
		for sum := .1; sum <= u; sum += float64(want+1) / 10 {
			want++
		}
		if got := mustSample(t, chain, row); got != want {
			t.Fatalf("drew %d with %v, want %d", got, u, want)
		}
	}
}

// TestDrawEdges: the greatest number still finds a candidate, and one without weight is never drawn.
func TestDrawEdges(t *testing.T) {
	even := pool{list: []Candidate{{ID: 0, Prob: 1}, {ID: 1, Prob: 1}}, total: 2}
	for u, want := range map[float64]int{0: 0, .5 - 0x1p-53: 0, .5: 1, 1 - 0x1p-53: 1} {
		if got := even.draw(u); got != want {
			t.Errorf("drew %d of two equals with %v, want %d", got, u, want)
		}
	}
	for _, weights := range [][]float64{{1}, {.1, .2, .7}, {1, 0, 0}, {0, 1, 0}, {0, 0, 3}, {1, 0x1p-60, 0x1p-80}} {
		var p pool
		for i, w := range weights {
			p.list = append(p.list, Candidate{ID: int32(i), Prob: w})
		}
		p.weighed = true
		p.addUp()
		for _, u := range []float64{0, 0x1p-53, .5, 1 - 0x1p-53} {
			if i := p.draw(u); weights[i] == 0 {
				t.Errorf("drew %d of %v with %v", i, weights, u)
			}
		}
	}
}

// TestNoAllocations: a warm chain samples and accepts without allocating, in every mode.
func TestNoAllocations(t *testing.T) {
	typicalAlone := plain()
	typicalAlone.TypicalP = .9
	topPAlone := plain()
	topPAlone.TopP = .99
	wideTopK := plain()
	wideTopK.TopK = 3000
	rows := [][]float32{noise(1, 4000), noise(2, 4000), noise(3, 4000)}
	for name, o := range map[string]Options{
		"greedy": {}, "default": Default(), "plain": plain(), "typ_p": typicalAlone, "top_p": topPAlone, "top_k": wideTopK,
		"everything": everything(1), "mirostat": withMirostat(everything(1)),
		"greedy everything": func() Options { o := everything(1); o.Temperature = 0; return o }(),
	} {
		chain := mustNew(t, o)
		i := 0
		step := func() {
			id := mustSample(t, chain, rows[i%len(rows)])
			chain.Accept(id % 5)
			chain.Candidates()
			i++
		}
		for range 300 {
			step()
		}
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%s: %v allocations per token", name, n)
		}
	}
}

// TestHugeWindows: limits beyond any text are no limits, and cost nothing in advance.
func TestHugeWindows(t *testing.T) {
	o := plain()
	o.TopK, o.RepeatLastN, o.DRYLastN, o.ContextSize, o.MinKeep = math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt
	o.PresencePenalty, o.DRYMultiplier, o.DRYBreakers, o.DRYAllowedLength = 1, 1, nil, math.MaxInt
	chain := mustNew(t, o)
	chain.Accept(1)
	mustSample(t, chain, []float32{0, 0, 0})
	if got := ids(chain.Candidates()); !slices.Equal(got, []int32{0, 2, 1}) {
		t.Errorf("candidates %v", got)
	}
}

// TestHistory: a bounded history holds the last tokens, and never more than twice as many.
func TestHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(-1, 9).Draw(t, "limit")
		text := rapid.SliceOf(rapid.Int32()).Draw(t, "text")
		h := history{limit: limit}
		for _, id := range text {
			h.add(id)
		}
		want := text
		if limit >= 0 {
			want = text[max(0, len(text)-limit):]
			if len(h.tokens) > 2*limit {
				t.Fatalf("%d tokens held for a limit of %d", len(h.tokens), limit)
			}
		}
		if !slices.Equal(h.kept(), want) {
			t.Fatalf("history %v, want %v", h.kept(), want)
		}
	})
}

// TestVocabularyMayChange: a chain may be given rows of different lengths.
func TestVocabularyMayChange(t *testing.T) {
	o := everything(1)
	o.LogitBias = nil
	chain := mustNew(t, o)
	for i, n := range []int{3, 4000, 1, 500, 8000, 2} {
		for id := range int32(30) {
			chain.Accept(id * 300)
		}
		if id := mustSample(t, chain, noise(i, n)); int(id) >= n {
			t.Errorf("chose %d of %d", id, n)
		}
		for _, mark := range chain.pool.marks {
			if mark != 0 {
				t.Fatal("a mark was left behind")
			}
		}
	}
}
