package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWorked holds cases worked by hand.
func TestWorked(t *testing.T) {
	four := rowOf(0.1, 0.2, 0.3, 0.4)
	cases := []struct {
		name   string
		row    []float32
		set    func(*Options)
		accept []int32
		want   []int32
		probs  []float64
	}{
		{"all off", four, func(o *Options) {}, nil, []int32{3, 2, 1, 0}, []float64{.4, .3, .2, .1}},
		{"top_k 1", four, func(o *Options) { o.TopK = 1 }, nil, []int32{3}, []float64{1}},
		{"top_k 2", four, func(o *Options) { o.TopK = 2 }, nil, []int32{3, 2}, []float64{4. / 7, 3. / 7}},
		{"top_k beyond", four, func(o *Options) { o.TopK = 9 }, nil, []int32{3, 2, 1, 0}, []float64{.4, .3, .2, .1}},
		{"top_k beyond the usable", []float32{1, inf(-1), 1, inf(-1), nan()}, func(o *Options) { o.TopK = 4 }, nil, []int32{0, 2}, []float64{.5, .5}},
		{"top_k min_keep", four, func(o *Options) { o.TopK, o.MinKeep = 1, 3 }, nil, []int32{3, 2, 1}, []float64{4. / 9, 3. / 9, 2. / 9}},
		{"top_p tiny", four, func(o *Options) { o.TopP = 1e-9 }, nil, []int32{3}, []float64{1}},
		{"top_p inside the second", four, func(o *Options) { o.TopP = .69 }, nil, []int32{3, 2}, []float64{4. / 7, 3. / 7}},
		{"top_p past the second", four, func(o *Options) { o.TopP = .71 }, nil, []int32{3, 2, 1}, []float64{4. / 9, 3. / 9, 2. / 9}},
		{"top_p exact", []float32{0, 0, 0, 0}, func(o *Options) { o.TopP = .5 }, nil, []int32{0, 1}, []float64{.5, .5}},
		{"typ_p exact", []float32{0, 0, 0, 0}, func(o *Options) { o.TypicalP = .5 }, nil, []int32{0, 1, 2}, softmax(0, 0, 0)},
		{"top_p min_keep", four, func(o *Options) { o.TopP, o.MinKeep = .1, 2 }, nil, []int32{3, 2}, []float64{4. / 7, 3. / 7}},
		{"min_p .24", four, func(o *Options) { o.MinP = .24 }, nil, []int32{3, 2, 1, 0}, []float64{.4, .3, .2, .1}},
		{"min_p .26", four, func(o *Options) { o.MinP = .26 }, nil, []int32{3, 2, 1}, []float64{4. / 9, 3. / 9, 2. / 9}},
		{"min_p 1", four, func(o *Options) { o.MinP = 1 }, nil, []int32{3}, []float64{1}},
		{"min_p 1 tie", rowOf(.2, .4, .4), func(o *Options) { o.MinP = 1 }, nil, []int32{1, 2}, []float64{.5, .5}},
		{"min_p min_keep", four, func(o *Options) { o.MinP, o.MinKeep = 1, 2 }, nil, []int32{3, 2}, []float64{4. / 7, 3. / 7}},
		// Entropy 0.17 nats; surprises 0.03 and 4.6.
		{"typ_p sure", rowOf(.97, .01, .01, .01), func(o *Options) { o.TypicalP = .5 }, nil, []int32{0}, []float64{1}},
		// Entropy 1.33 nats; surprises 0.92 for the first, 1.61 for the others, which are nearer.
		{"typ_p not the best", rowOf(.4, .2, .2, .2), func(o *Options) { o.TypicalP = .5 }, nil, []int32{1, 2, 3}, []float64{1. / 3, 1. / 3, 1. / 3}},
		{"typ_p min_keep", rowOf(.97, .01, .01, .01), func(o *Options) { o.TypicalP, o.MinKeep = .5, 2 }, nil, []int32{0, 1}, []float64{97. / 98, 1. / 98}},
		// Mean 0, deviation 2: the bar is 4 − 2 = 2.
		{"top_n_sigma 1", []float32{4, 0, 0, 0, 0, -2, -2, 0}, func(o *Options) { o.TopNSigma = 1 }, nil, []int32{0}, []float64{1}},
		{"top_n_sigma wide", []float32{1, 0}, func(o *Options) { o.TopNSigma = 9 }, nil, []int32{0, 1}, []float64{math.E / (1 + math.E), 1 / (1 + math.E)}},
		{"xtc two", four, func(o *Options) { o.XTCProbability, o.XTCThreshold = 1, .29 }, nil, []int32{2, 1, 0}, []float64{.5, 2. / 6, 1. / 6}},
		{"xtc all", four, func(o *Options) { o.XTCProbability, o.XTCThreshold = 1, .09 }, nil, []int32{0}, []float64{1}},
		{"xtc only one", four, func(o *Options) { o.XTCProbability, o.XTCThreshold = 1, .39 }, nil, []int32{3, 2, 1, 0}, []float64{.4, .3, .2, .1}},
		{"xtc min_keep", four, func(o *Options) { o.XTCProbability, o.XTCThreshold, o.MinKeep = 1, .09, 2 }, nil, []int32{3, 2, 1, 0}, []float64{.4, .3, .2, .1}},
		{"xtc tie", rowOf(.3, .3, .4), func(o *Options) { o.XTCProbability, o.XTCThreshold = 1, .25 }, nil, []int32{1}, []float64{1}},
		{"temperature 2", rowOf(.2, .8), func(o *Options) { o.Temperature = 2 }, nil, []int32{1, 0}, []float64{2. / 3, 1. / 3}},
		{"temperature .5", rowOf(1./3, 2./3), func(o *Options) { o.Temperature = .5 }, nil, []int32{1, 0}, []float64{.8, .2}},
		{"temperature near 0", rowOf(.4, .6), func(o *Options) { o.Temperature = 1e-40 }, nil, []int32{1}, []float64{1}},
		// Full entropy: the highest temperature, which leaves equals equal.
		{"dynamic even", rowOf(.5, .5), func(o *Options) { o.DynamicRange = .5 }, nil, []int32{0, 1}, []float64{.5, .5}},
		// No entropy, and a lowest temperature of 0: the best token.
		{"dynamic certain", []float32{900, 0}, func(o *Options) { o.DynamicRange = 1 }, nil, []int32{0}, []float64{1}},
		{"dynamic flat", rowOf(.2, .8), func(o *Options) { o.DynamicRange, o.DynamicExponent = 1, 0 }, nil, []int32{1, 0}, []float64{2. / 3, 1. / 3}},
		{"repeat", []float32{2, -1, 2}, func(o *Options) { o.RepeatPenalty = 2 }, []int32{0, 1}, []int32{2, 0, 1}, softmax(2, 1, -2)},
		{"frequency", []float32{3, 3, 3}, func(o *Options) { o.FrequencyPenalty = 1 }, []int32{0, 1, 0}, []int32{2, 1, 0}, softmax(3, 2, 1)},
		{"presence", []float32{3, 3, 3}, func(o *Options) { o.PresencePenalty = 1 }, []int32{0, 1, 0}, []int32{2, 0, 1}, softmax(3, 2, 2)},
		{"all penalties", []float32{4, 3}, func(o *Options) { o.RepeatPenalty, o.FrequencyPenalty, o.PresencePenalty = 2, 1, .5 }, []int32{0, 0}, []int32{1, 0}, softmax(3, 4./2-2-.5)},
		{"last n", []float32{3, 3}, func(o *Options) { o.PresencePenalty, o.RepeatLastN = 1, 2 }, []int32{0, 1, 1}, []int32{0, 1}, softmax(3, 2)},
		{"last n 0", []float32{3, 3}, func(o *Options) { o.PresencePenalty, o.RepeatLastN = 1, 0 }, []int32{0}, []int32{0, 1}, softmax(3, 3)},
		{"last n all", []float32{3, 3}, func(o *Options) { o.PresencePenalty, o.RepeatLastN = 1, -1 }, []int32{0, 7, 7}, []int32{1, 0}, softmax(3, 2)},
		{"last n context", []float32{3, 3}, func(o *Options) { o.PresencePenalty, o.RepeatLastN, o.ContextSize = 1, -1, 2 }, []int32{0, 7, 7}, []int32{0, 1}, softmax(3, 3)},
		{"foreign ids", []float32{3, 3}, func(o *Options) { o.PresencePenalty = 1 }, []int32{-1, 2, math.MaxInt32, math.MinInt32}, []int32{0, 1}, softmax(3, 3)},
		// "0 1 2 0 1": 2 would extend the repetition of "0 1".
		{"dry", []float32{0, 0, 0, 0}, func(o *Options) { o.DRYMultiplier, o.DRYBreakers = 1, nil }, []int32{0, 1, 2, 0, 1}, []int32{0, 1, 3, 2}, softmax(0, 0, 0, -1)},
		// "5 0 1 2 5 0 1": 2 would extend a repetition of three, one more than is allowed.
		{"dry longer", []float32{0, 0, 0}, func(o *Options) { o.DRYMultiplier, o.DRYBase, o.DRYBreakers = 1, 3, nil }, []int32{5, 0, 1, 2, 5, 0, 1}, []int32{0, 1, 2}, softmax(0, 0, -3)},
		{"dry too short", []float32{0, 0, 0}, func(o *Options) { o.DRYMultiplier, o.DRYAllowedLength, o.DRYBreakers = 1, 3, nil }, []int32{0, 1, 2, 0, 1}, []int32{0, 1, 2}, softmax(0, 0, 0)},
		// "1 1 1 1": the text overlaps itself with length 3.
		{"dry run", []float32{0, 0}, func(o *Options) { o.DRYMultiplier, o.DRYBase, o.DRYBreakers = 1, 2, nil }, []int32{1, 1, 1, 1}, []int32{0, 1}, softmax(0, -2)},
		{"dry last n", []float32{0, 0, 0}, func(o *Options) { o.DRYMultiplier, o.DRYLastN, o.DRYBreakers = 1, 4, nil }, []int32{0, 1, 2, 0, 1}, []int32{0, 1, 2}, softmax(0, 0, 0)},
		{"bias", []float32{0, 0, 0}, func(o *Options) { o.LogitBias = map[int32]float32{1: 2, 2: -1} }, nil, []int32{1, 0, 2}, softmax(2, 0, -1)},
		{"ban", []float32{9, 0, 0}, func(o *Options) { o.LogitBias = map[int32]float32{0: float32(math.Inf(-1))} }, nil, []int32{1, 2}, softmax(0, 0)},
		{"force", []float32{9, 0, 0}, func(o *Options) { o.LogitBias = map[int32]float32{2: float32(math.Inf(1))} }, nil, []int32{2}, softmax(0)},
		{"force NaN", []float32{9, nan()}, func(o *Options) { o.LogitBias = map[int32]float32{1: inf(1)} }, nil, []int32{0}, softmax(0)},
		{"force -Inf", []float32{9, inf(-1)}, func(o *Options) { o.LogitBias = map[int32]float32{1: inf(1)} }, nil, []int32{1}, softmax(0)},
		{"bias -Inf", []float32{9, inf(-1)}, func(o *Options) { o.LogitBias = map[int32]float32{1: 100} }, nil, []int32{0}, softmax(0)},
		{"infinite", []float32{inf(1), 7, inf(1), nan(), inf(-1)}, func(o *Options) {}, nil, []int32{0, 2}, []float64{.5, .5}},
		{"infinite everything", []float32{inf(1), 7, inf(1), nan(), inf(-1)}, func(o *Options) {
			*o = Default()
			o.TypicalP, o.TopNSigma, o.XTCProbability, o.RepeatPenalty = .99, 1, .5, 2
		}, []int32{0}, []int32{0, 2}, []float64{.5, .5}},
		{"huge penalty", []float32{1, 0}, func(o *Options) { o.FrequencyPenalty = 1e308 }, []int32{0, 0}, []int32{1, 0}, []float64{1, 0}},
		{"huge penalty on all", []float32{-1, -1}, func(o *Options) { o.RepeatPenalty, o.FrequencyPenalty = 1e300, 1e308 }, []int32{0, 1}, []int32{0, 1}, []float64{.5, .5}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := plain()
			c.set(&o)
			chain := mustNew(t, o)
			for _, id := range c.accept {
				chain.Accept(id)
			}
			row := slices.Clone(c.row)
			chosen := mustSample(t, chain, row)
			got := chain.Candidates()
			if !slices.Equal(ids(got), c.want) {
				t.Fatalf("candidates %v, want %v", ids(got), c.want)
			}
			for i, want := range c.probs {
				if math.Abs(got[i].Prob-want) > 1e-6 {
					t.Errorf("token %d has probability %v, want %v", got[i].ID, got[i].Prob, want)
				}
			}
			if i := slices.Index(ids(got), chosen); i < 0 || got[i] != chain.Selected() {
				t.Errorf("selected %v, chosen %d, not in %v", chain.Selected(), chosen, got)
			}
			if !sameBits(row, c.row) {
				t.Errorf("the row was changed to %v", row)
			}
		})
	}
}

func softmax(logits ...float64) []float64 {
	out, total := make([]float64, len(logits)), 0.0
	for _, l := range logits {
		total += math.Exp(l)
	}
	for i, l := range logits {
		out[i] = math.Exp(l) / total
	}
	return out
}

func inf(sign int) float32 { return float32(math.Inf(sign)) }
func nan() float32         { return float32(math.NaN()) }

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// TestSamplersAgainstOracle runs each sampler alone on random rows.
func TestSamplersAgainstOracle(t *testing.T) {
	cases := map[string]func(t *rapid.T, o *Options, want *oracle){
		"top_k": func(t *rapid.T, o *Options, want *oracle) {
			o.TopK = rapid.IntRange(1, 700).Draw(t, "top_k")
			want.topK(max(o.TopK, o.MinKeep))
		},
		"top_p": func(t *rapid.T, o *Options, want *oracle) {
			o.TopP = rapid.Float64Range(.001, .999999).Draw(t, "top_p")
			want.topP(o.TopP, o.MinKeep)
		},
		"min_p": func(t *rapid.T, o *Options, want *oracle) {
			o.MinP = rapid.Float64Range(1e-6, 1).Draw(t, "min_p")
			want.minP(o.MinP, o.MinKeep)
		},
		"typ_p": func(t *rapid.T, o *Options, want *oracle) {
			o.TypicalP = rapid.Float64Range(.001, .999999).Draw(t, "typ_p")
			want.typical(o.TypicalP, o.MinKeep)
		},
		"top_n_sigma": func(t *rapid.T, o *Options, want *oracle) {
			o.TopNSigma = rapid.Float64Range(.01, 5).Draw(t, "top_n_sigma")
			want.topNSigma(o.TopNSigma, o.MinKeep)
		},
		"xtc": func(t *rapid.T, o *Options, want *oracle) {
			o.XTCProbability = 1
			o.XTCThreshold = rapid.Float64Range(.001, .5).Draw(t, "xtc_threshold")
			want.xtc(o.XTCThreshold, o.MinKeep)
		},
		"temperature": func(t *rapid.T, o *Options, want *oracle) {
			o.Temperature = rapid.Float64Range(.01, 5).Draw(t, "temperature")
			want.temperature(o.Temperature)
		},
		"dynamic temperature": func(t *rapid.T, o *Options, want *oracle) {
			o.Temperature = rapid.Float64Range(.01, 3).Draw(t, "temperature")
			o.DynamicRange = rapid.Float64Range(.01, 3).Draw(t, "range")
			o.DynamicExponent = rapid.Float64Range(.1, 4).Draw(t, "exponent")
			want.dynamic(max(0, o.Temperature-o.DynamicRange), o.Temperature+o.DynamicRange, o.DynamicExponent)
		},
		"mirostat": func(t *rapid.T, o *Options, want *oracle) {
			o.Mirostat = 2
			o.MirostatTau = rapid.Float64Range(0, 6).Draw(t, "tau")
			o.TopK, o.TopP, o.MinP, o.XTCProbability = 1, .1, .9, 1 // all without effect
			want.mirostat(2 * o.MirostatTau)
		},
	}
	for name, set := range cases {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				row := drawLogits(t, 900)
				o := plain()
				o.MinKeep = rapid.SampledFrom([]int{0, 0, 1, 3, 40}).Draw(t, "min_keep")
				want := newOracle(row)
				if name == "typ_p" {
					// Ties of typicality are as good as certain with tied logits; the worked cases have them.
					distinct := map[float64]bool{}
					for _, c := range want.list {
						distinct[c.Logit] = true
					}
					if len(distinct) < len(want.list) {
						t.Skip("tied logits")
					}
				}
				set(t, &o, want)
				chain, err := New(o)
				if err != nil {
					t.Fatal(err)
				}
				mustSample(t, chain, row)
				want.same(t, chain.Candidates())
			})
		})
	}
}

// TestPenaltiesAgainstOracle compares the penalties, before and after top_k.
func TestPenaltiesAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := drawLogits(t, 60)
		o := plain()
		o.RepeatLastN = rapid.IntRange(-1, 30).Draw(t, "last n")
		o.RepeatPenalty = rapid.Float64Range(.5, 2).Draw(t, "repeat")
		o.FrequencyPenalty = rapid.Float64Range(-1, 2).Draw(t, "frequency")
		o.PresencePenalty = rapid.Float64Range(-1, 2).Draw(t, "presence")
		o.TopK = rapid.IntRange(0, 20).Draw(t, "top_k")
		late := rapid.Bool().Draw(t, "after top_k")
		if late {
			o.Order = []string{"top_k", "penalties"}
		}
		text := rapid.SliceOfN(rapid.Int32Range(-2, 62), 0, 90).Draw(t, "text")
		chain, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range text {
			chain.Accept(id)
		}
		window := text
		if o.RepeatLastN >= 0 {
			window = text[max(0, len(text)-o.RepeatLastN):]
		}
		want := newOracle(row)
		if late {
			want.topK(o.TopK)
		}
		if o.RepeatLastN != 0 && !hasInfinite(row) {
			want.penalties(window, o.RepeatPenalty, o.FrequencyPenalty, o.PresencePenalty)
		}
		if !late {
			want.topK(o.TopK)
		}
		mustSample(t, chain, row)
		want.same(t, chain.Candidates())
	})
}

func hasInfinite(row []float32) bool {
	return slices.Contains(row, inf(1))
}

// TestDRYAgainstOracle compares dry on texts over few tokens, which repeat much.
func TestDRYAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := plain()
		o.DRYBreakers = nil
		o.DRYMultiplier = rapid.Float64Range(.1, 2).Draw(t, "multiplier")
		o.DRYBase = rapid.Float64Range(1, 2).Draw(t, "base")
		o.DRYAllowedLength = rapid.IntRange(0, 4).Draw(t, "allowed")
		o.DRYLastN = rapid.IntRange(-1, 40).Draw(t, "last n")
		o.TopK = rapid.IntRange(0, 3).Draw(t, "top_k")
		late := rapid.Bool().Draw(t, "after top_k")
		if late {
			o.Order = []string{"top_k", "dry"}
		}
		text := rapid.SliceOfN(rapid.Int32Range(0, rapid.Int32Range(0, 4).Draw(t, "tokens")), 0, 80).Draw(t, "text")
		chain, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range text {
			chain.Accept(id)
		}
		window := text
		if o.DRYLastN >= 0 {
			window = text[max(0, len(text)-o.DRYLastN):]
		}
		row := []float32{1, .5, 0, .25}
		want := newOracle(row)
		if late {
			want.topK(o.TopK)
		}
		want.dry(window, len(window), o.DRYMultiplier, o.DRYBase, o.DRYAllowedLength)
		if !late {
			want.topK(o.TopK)
		}
		mustSample(t, chain, row)
		want.same(t, chain.Candidates())
	})
}

func TestSuffixMatches(t *testing.T) {
	text := []int32{'a', 'b', 'c', 'c', 'b', 'c', 'y', 'a', 'b', 'c'}
	if got, want := suffixMatches(nil, text), []int32{0, 0, 3, 1, 0, 2, 0, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("matches %v, want %v", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Int32Range(0, 2), 0, 200).Draw(t, "text")
		dirty := slices.Repeat([]int32{99}, 150) // what an earlier call left
		got := suffixMatches(dirty, text)
		for end := range text {
			length := 0
			for end < len(text)-1 && length <= end && text[end-length] == text[len(text)-1-length] {
				length++
			}
			if int(got[end]) != length {
				t.Fatalf("match at %d is %d, want %d, in %v", end, got[end], length, text)
			}
		}
	})
}

// TestOrders runs every sampler at once, in any order, against the oracle.
func TestOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := drawLogits(t, 300)
		if hasInfinite(row) {
			t.Skip("the oracle has no infinities between samplers")
		}
		o := Default()
		o.Seed = rapid.Uint64().Draw(t, "seed")
		o.Temperature = rapid.Float64Range(.1, 3).Draw(t, "temperature")
		o.TopK = rapid.IntRange(0, 300).Draw(t, "top_k")
		o.TopP = rapid.Float64Range(.1, 1).Draw(t, "top_p")
		o.MinP = rapid.Float64Range(0, .3).Draw(t, "min_p")
		o.TopNSigma = rapid.Float64Range(0, 3).Draw(t, "top_n_sigma")
		o.XTCProbability = rapid.Float64Range(0, 1).Draw(t, "xtc_probability")
		o.XTCThreshold = rapid.Float64Range(.01, .5).Draw(t, "xtc_threshold")
		o.RepeatPenalty = rapid.Float64Range(.8, 1.5).Draw(t, "repeat_penalty")
		order := rapid.Permutation([]string{"penalties", "top_n_sigma", "top_k", "top_p", "min_p", "xtc", "temperature"}).Draw(t, "order")
		o.Order = order
		text := rapid.SliceOfN(rapid.Int32Range(0, 300), 0, 64).Draw(t, "text")
		chain, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range text {
			chain.Accept(id)
		}
		coin := newGenerator(o.Seed)
		want := newOracle(row)
		for _, name := range order {
			switch name {
			case "penalties":
				if o.RepeatPenalty != 1 {
					want.penalties(text, o.RepeatPenalty, 0, 0)
				}
			case "top_n_sigma":
				if o.TopNSigma > 0 {
					want.topNSigma(o.TopNSigma, 0)
				}
			case "top_k":
				want.topK(o.TopK)
			case "top_p":
				if o.TopP < 1 {
					want.topP(o.TopP, 0)
				}
			case "min_p":
				if o.MinP > 0 {
					want.minP(o.MinP, 0)
				}
			case "xtc":
				if o.XTCProbability > 0 && float64(coin.Uint64()>>11)/(1<<53) < o.XTCProbability {
					want.xtc(o.XTCThreshold, 0)
				}
			case "temperature":
				want.temperature(o.Temperature)
			}
		}
		mustSample(t, chain, row)
		want.same(t, chain.Candidates())
	})
}

// TestMirostatMu follows the update of μ by hand: after a draw among tokens kept, μ falls by η·(surprise − τ).
func TestMirostatMu(t *testing.T) {
	o := plain()
	o.Mirostat, o.MirostatTau, o.MirostatEta, o.Seed = 2, 1.05, .1, 3
	chain := mustNew(t, o)
	mu := 2.1
	row := rowOf(.5, .25, .125, .125)
	for range 50 {
		id := mustSample(t, chain, row)
		var kept []float64
		for _, p := range []float64{.5, .25, .125, .125} {
			if -math.Log2(p) <= mu {
				kept = append(kept, p)
			}
		}
		if len(kept) == 0 {
			kept = []float64{.5}
		}
		if len(chain.Candidates()) != len(kept) {
			t.Fatalf("mu %v: %d candidates, want %d", mu, len(chain.Candidates()), len(kept))
		}
		total := 0.0
		for _, p := range kept {
			total += p
		}
		mu -= .1 * (-math.Log2(kept[id]/total) - 1.05)
		if math.Abs(chain.state.mu-mu) > 1e-6 {
			t.Fatalf("mu is %v, want %v", chain.state.mu, mu)
		}
	}
}

// TestMirostatReachesTau: over many draws the mean surprise is τ.
func TestMirostatReachesTau(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	row := make([]float32, 2000)
	for i := range row {
		row[i] = float32(rng.NormFloat64() * 2)
	}
	o := plain()
	o.Mirostat, o.MirostatTau = 2, 4
	chain := mustNew(t, o)
	sum := 0.0
	const draws = 3000
	for range draws {
		mustSample(t, chain, row)
		sum -= math.Log2(chain.Selected().Prob)
	}
	if mean := sum / draws; math.Abs(mean-4) > .05 {
		t.Errorf("mean surprise is %v bits, want about 4", mean)
	}
}

// TestMirostatAbsurd: numbers that overflow leave a chain that samples and can be saved.
func TestMirostatAbsurd(t *testing.T) {
	o := plain()
	o.Mirostat, o.MirostatTau, o.MirostatEta = 2, math.MaxFloat64, math.MaxFloat64
	chain := mustNew(t, o)
	for range 3 {
		mustSample(t, chain, rowOf(.5, .5))
	}
	data, err := chain.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Restore(data); err != nil {
		t.Error(err)
	}
}

func TestXTCProbability(t *testing.T) {
	o := plain()
	o.XTCProbability, o.XTCThreshold = .3, .2
	chain := mustNew(t, o)
	row := rowOf(.5, .4, .1)
	excluded := 0
	const draws = 10000
	for range draws {
		mustSample(t, chain, row)
		if len(chain.Candidates()) == 2 {
			excluded++
		}
	}
	if excluded < 2850 || excluded > 3150 { // 3000 ± 3.3 standard deviations
		t.Errorf("excluded in %d of %d draws, want about 3000", excluded, draws)
	}
}
