package sample

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestOptionErrors(t *testing.T) {
	bad, infinite := math.NaN(), math.Inf(1)
	cases := []struct {
		set  func(*Options)
		want string
	}{
		{func(o *Options) { o.Temperature = bad }, "temperature is NaN"},
		{func(o *Options) { o.Temperature = infinite }, "temperature is +Inf"},
		{func(o *Options) { o.DynamicRange = -1 }, "dynatemp_range is -1"},
		{func(o *Options) { o.DynamicRange = infinite }, "dynatemp_range is +Inf"},
		{func(o *Options) { o.DynamicExponent = -.5 }, "dynatemp_exponent is -0.5"},
		{func(o *Options) { o.TopK = -1 }, "top_k is -1"},
		{func(o *Options) { o.TopP = 1.01 }, "top_p is 1.01"},
		{func(o *Options) { o.TopP = -.1 }, "top_p is -0.1"},
		{func(o *Options) { o.TopP = bad }, "top_p is NaN"},
		{func(o *Options) { o.TopP = 0 }, "top_p is 0"},
		{func(o *Options) { o.MinP = 2 }, "min_p is 2"},
		{func(o *Options) { o.TypicalP = bad }, "typ_p is NaN"},
		{func(o *Options) { o.TypicalP = 0 }, "typ_p is 0"},
		{func(o *Options) { o.TopNSigma = -1 }, "top_n_sigma is -1"},
		{func(o *Options) { o.XTCProbability = 1.5 }, "xtc_probability is 1.5"},
		{func(o *Options) { o.XTCThreshold = 1.5 }, "xtc_threshold is 1.5"},
		{func(o *Options) { o.XTCProbability, o.XTCThreshold = .5, 0 }, "xtc_threshold is 0"},
		{func(o *Options) { o.MinKeep = -1 }, "min_keep is -1"},
		{func(o *Options) { o.RepeatLastN = -2 }, "repeat_last_n is -2"},
		{func(o *Options) { o.RepeatPenalty = -1 }, "repeat_penalty is -1"},
		{func(o *Options) { o.FrequencyPenalty = bad }, "frequency_penalty is NaN"},
		{func(o *Options) { o.PresencePenalty = infinite }, "presence_penalty is +Inf"},
		{func(o *Options) { o.DRYMultiplier = -1 }, "dry_multiplier is -1"},
		{func(o *Options) { o.DRYBase = bad }, "dry_base is NaN"},
		{func(o *Options) { o.DRYMultiplier, o.DRYBase, o.DRYBreakers = 1, .9, nil }, "dry_base is 0.9"},
		{func(o *Options) { o.DRYAllowedLength = -1 }, "dry_allowed_length is -1"},
		{func(o *Options) { o.DRYLastN = -2 }, "dry_penalty_last_n is -2"},
		{func(o *Options) { o.Mirostat = 1 }, "mirostat is 1"},
		{func(o *Options) { o.MirostatTau = -1 }, "mirostat_tau is -1"},
		{func(o *Options) { o.MirostatEta = bad }, "mirostat_eta is NaN"},
		{func(o *Options) { o.ContextSize = -1 }, "context_size is -1"},
		{func(o *Options) { o.LogitBias = map[int32]float32{-1: 1} }, "logit_bias of token -1"},
		{func(o *Options) { o.LogitBias = map[int32]float32{7: nan()} }, "logit_bias of token 7 is NaN"},
		{func(o *Options) { o.Order = []string{"top_k", "top-q"} }, `unknown sampler "top-q", want any of penalties, dry,`},
		{func(o *Options) { o.Order = []string{"typical", "top_k", "typ_p"} }, "typ_p is listed twice"},
	}
	for _, c := range cases {
		o := Default()
		c.set(&o)
		_, err := New(o)
		if err == nil || !strings.HasPrefix(err.Error(), "sample: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line with %q", err, c.want)
		}
	}
}

// TestZeroOptions: the zero value is greedy search, and with a temperature alone it is refused, not guessed at.
func TestZeroOptions(t *testing.T) {
	chain := mustNew(t, Options{})
	if id := mustSample(t, chain, []float32{1, 3, 2}); id != 1 {
		t.Errorf("chose %d, want 1", id)
	}
	if _, err := New(Options{Temperature: .8}); err == nil {
		t.Error("a temperature without top_p was accepted")
	}
	// What does not run is not asked for its zero.
	for _, o := range []Options{
		{Temperature: .8, Order: []string{"temperature"}},
		{Temperature: .8, Order: []string{}},
		{Temperature: .8, Mirostat: 2, MirostatTau: 5, MirostatEta: .1},
	} {
		mustSample(t, mustNew(t, o), []float32{1, 3, 2})
	}
}

func TestDefaultRuns(t *testing.T) {
	o := Default()
	if o.Greedy() {
		t.Error("the default is greedy")
	}
	chain := mustNew(t, o)
	mustSample(t, chain, make([]float32, 1000))
	if n := len(chain.Candidates()); n < 37 || n > 40 { // top_p .95 of 40 equals: 38, give or take the rounding
		t.Errorf("%d candidates", n)
	}
}

func TestOrderNames(t *testing.T) {
	want := []string{"penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"}
	if got := DefaultOrder(); !slices.Equal(got, want) {
		t.Errorf("default order %v, want %v", got, want)
	}
	DefaultOrder()[0] = "changed"
	if got := DefaultOrder(); !slices.Equal(got, want) {
		t.Errorf("default order became %v", got)
	}
	for name, want := range map[string]string{
		"top-k": "top_k", "Top_P": "top_p", "nucleus": "top_p", "typical": "typ_p", "typical-p": "typ_p", "temp": "temperature", "min-p": "min_p",
	} {
		if l, ok := find(name); !ok || l.name != want {
			t.Errorf("%q is %q, want %q", name, l.name, want)
		}
	}
}

// TestOrderMatters: top_k before the penalty keeps the penalized token, after it does not.
func TestOrderMatters(t *testing.T) {
	for _, c := range []struct {
		order []string
		want  int32
	}{
		{[]string{"penalties", "top_k"}, 0},
		{[]string{"top_k", "penalties"}, 1},
		{[]string{"top_k"}, 1},
	} {
		o := plain()
		o.PresencePenalty, o.TopK, o.Order = 5, 1, c.order
		chain := mustNew(t, o)
		chain.Accept(1)
		if got := mustSample(t, chain, []float32{1, 2}); got != c.want {
			t.Errorf("order %v chose %d, want %d", c.order, got, c.want)
		}
	}
}

// TestGreedySkipsTruncation: only what adjusts logits has a say in greedy search.
func TestGreedySkipsTruncation(t *testing.T) {
	o := Default()
	o.Temperature = -1
	o.XTCProbability, o.XTCThreshold, o.TypicalP, o.Mirostat = 1, .01, .1, 2
	chain := mustNew(t, o)
	if id := mustSample(t, chain, rowOf(.1, .5, .4)); id != 1 {
		t.Errorf("chose %d, want 1", id)
	}
	o.PresencePenalty = 1
	o.LogitBias = map[int32]float32{0: 1}
	chain = mustNew(t, o)
	chain.Accept(1)
	if id := mustSample(t, chain, []float32{.5, 2, 1.4}); id != 0 {
		t.Errorf("chose %d, want 0: 1.5, 1, 1.4", id)
	}
}
