package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The oracle: every sampler said as plainly as its definition, on a list that is always sorted and weighed in full. A
// case whose answer hangs on the last bits of a sum is called close and is not compared.
type oracle struct {
	list  []Candidate
	close bool
}

const closeCall = 1e-9

func newOracle(logits []float32) *oracle {
	var o oracle
	for id, v := range logits {
		if v == v && !math.IsInf(float64(v), -1) {
			o.list = append(o.list, Candidate{ID: int32(id), Logit: float64(v)})
		}
	}
	if infinite := o.filter(func(c Candidate) bool { return math.IsInf(c.Logit, 1) }); len(infinite) > 0 {
		for i := range infinite {
			infinite[i].Logit = 0
		}
		o.list = infinite
	}
	o.weigh()
	return &o
}

func (o *oracle) filter(keep func(Candidate) bool) []Candidate {
	var kept []Candidate
	for _, c := range o.list {
		if keep(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

func (o *oracle) keep(keep func(Candidate) bool) {
	o.list = o.filter(keep)
	o.weigh()
}

// weigh sorts and sets the probabilities.
func (o *oracle) weigh() {
	slices.SortFunc(o.list, func(a, b Candidate) int {
		if a.Logit != b.Logit {
			if a.Logit > b.Logit {
				return -1
			}
			return 1
		}
		return int(a.ID) - int(b.ID)
	})
	total := 0.0
	for i := range o.list {
		o.list[i].Prob = math.Exp(o.list[i].Logit - o.list[0].Logit)
		total += o.list[i].Prob
	}
	for i := range o.list {
		o.list[i].Prob /= total
	}
}

func (o *oracle) near(a, b float64) {
	if math.Abs(a-b) < closeCall {
		o.close = true
	}
}

func (o *oracle) topK(k int) {
	if k > 0 && k < len(o.list) {
		o.list = o.list[:k]
		o.weigh()
	}
}

func (o *oracle) topP(p float64, minKeep int) {
	sum := 0.0
	for i, c := range o.list {
		sum += c.Prob
		o.near(sum, p)
		if sum >= p && i+1 >= minKeep {
			o.list = o.list[:i+1]
			break
		}
	}
	o.weigh()
}

func (o *oracle) minP(p float64, minKeep int) {
	best := o.list[0].Prob
	n := 0
	for _, c := range o.list {
		o.near(c.Logit-o.list[0].Logit, math.Log(p))
		if c.Prob >= p*best {
			n++
		}
	}
	o.topK(max(1, n, minKeep))
}

func (o *oracle) topNSigma(n float64, minKeep int) {
	mean, variance := 0.0, 0.0
	for _, c := range o.list {
		mean += c.Logit / float64(len(o.list))
	}
	for _, c := range o.list {
		variance += (c.Logit - mean) * (c.Logit - mean) / float64(len(o.list))
	}
	bar := o.list[0].Logit - n*math.Sqrt(variance)
	kept := 0
	for _, c := range o.list {
		o.near(c.Logit, bar)
		if c.Logit >= bar {
			kept++
		}
	}
	o.topK(max(1, kept, minKeep))
}

func (o *oracle) typical(p float64, minKeep int) {
	entropy := 0.0
	for _, c := range o.list {
		if c.Prob > 0 {
			entropy -= c.Prob * math.Log(c.Prob)
		}
	}
	type ranked struct {
		id      int32
		prob    float64
		untypic float64
	}
	var order []ranked
	for _, c := range o.list {
		order = append(order, ranked{c.ID, c.Prob, math.Abs(-math.Log(c.Prob) - entropy)})
	}
	slices.SortFunc(order, func(a, b ranked) int {
		if a.untypic != b.untypic {
			if a.untypic < b.untypic {
				return -1
			}
			return 1
		}
		return int(a.id) - int(b.id)
	})
	kept := map[int32]bool{}
	sum := 0.0
	for i, r := range order {
		if i > 0 && r.untypic-order[i-1].untypic < closeCall {
			o.close = true
		}
		sum += r.prob
		kept[r.id] = true
		o.near(sum, p)
		if sum > p && i+1 >= minKeep {
			break
		}
	}
	o.keep(func(c Candidate) bool { return kept[c.ID] })
}

func (o *oracle) xtc(threshold float64, minKeep int) {
	last := -1
	for i, c := range o.list {
		o.near(c.Prob, threshold)
		if c.Prob >= threshold {
			last = i
		}
	}
	if last > 0 && len(o.list)-last >= minKeep {
		o.list = o.list[last:]
		o.weigh()
	}
}

func (o *oracle) temperature(t float64) {
	for i := range o.list {
		o.list[i].Logit /= t
	}
	o.weigh()
}

func (o *oracle) dynamic(low, high, exponent float64) {
	if len(o.list) < 2 {
		return
	}
	entropy := 0.0
	for _, c := range o.list {
		if c.Prob > 0 {
			entropy -= c.Prob * math.Log(c.Prob)
		}
	}
	share := min(1, max(0, entropy/math.Log(float64(len(o.list)))))
	t := low + (high-low)*math.Pow(share, exponent)
	if t < 1e-3 {
		o.close = true // so cold that rounding of the entropy shows
		t = 1
	}
	o.temperature(t)
}

func (o *oracle) penalties(window []int32, repeat, frequency, presence float64) {
	for i := range o.list {
		c := &o.list[i]
		count := 0.0
		for _, id := range window {
			if id == c.ID {
				count++
			}
		}
		if count == 0 {
			continue
		}
		if c.Logit > 0 {
			c.Logit /= repeat
		} else {
			c.Logit *= repeat
		}
		c.Logit = float64(float32(c.Logit - count*frequency - presence))
	}
	o.weigh()
}

// dry looks for each token at every place where it occurred, and counts by hand how long a repetition it would extend.
func (o *oracle) dry(window []int32, limit int, multiplier, base float64, allowed int) {
	for i := range o.list {
		c := &o.list[i]
		longest := -1
		for at := 1; at < len(window); at++ {
			if window[at] != c.ID {
				continue
			}
			length := 0
			for length < at && length < limit && window[at-1-length] == window[len(window)-1-length] {
				length++
			}
			longest = max(longest, length)
		}
		if longest >= allowed && len(window) > allowed && limit >= allowed {
			c.Logit = float64(float32(c.Logit - multiplier*math.Pow(base, float64(longest-allowed))))
		}
	}
	o.weigh()
}

// mirostat returns the distribution that version 2 draws from.
func (o *oracle) mirostat(mu float64) {
	n := 0
	for _, c := range o.list {
		surprise := -math.Log2(c.Prob)
		o.near(surprise, mu)
		if surprise <= mu {
			n++
		}
	}
	o.topK(max(1, n))
}

// same fails unless a chain's candidates are those of the oracle.
func (o *oracle) same(t rapid.TB, got []Candidate) {
	t.Helper()
	if o.close {
		return
	}
	if len(got) != len(o.list) {
		t.Fatalf("%d candidates, want %d\ngot  %v\nwant %v", len(got), len(o.list), got, o.list)
	}
	for i, want := range o.list {
		if got[i].ID != want.ID || math.Abs(got[i].Prob-want.Prob) > 1e-9 {
			t.Fatalf("candidate %d is %v, want %v", i, got[i], want)
		}
	}
}

// plain returns options that leave every sampler off.
func plain() Options {
	o := Default()
	o.Temperature, o.TopK, o.TopP, o.MinP = 1, 0, 1, 0
	return o
}

func mustNew(t testing.TB, o Options) *Chain {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustSample(t rapid.TB, c *Chain, logits []float32) int32 {
	t.Helper()
	id, err := c.Sample(logits)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// drawLogits draws a row: smooth, with ties, or with NaN and infinities in it; at least one logit is usable.
func drawLogits(t *rapid.T, most int) []float32 {
	n := rapid.IntRange(1, most).Draw(t, "vocabulary")
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "logit seed"), 0))
	kind := rapid.SampledFrom([]string{"smooth", "ties", "wild"}).Draw(t, "kind")
	spread := rapid.Float64Range(0.1, 8).Draw(t, "spread")
	row := make([]float32, n)
	for i := range row {
		row[i] = float32(rng.NormFloat64() * spread)
		switch {
		case kind == "ties":
			row[i] = float32(math.Round(float64(row[i])))
		case kind == "wild" && rng.IntN(4) == 0:
			row[i] = []float32{float32(math.NaN()), float32(math.Inf(-1)), -1e30}[rng.IntN(3)]
		}
	}
	if kind == "wild" && rng.IntN(8) == 0 {
		row[rng.IntN(n)] = float32(math.Inf(1))
	}
	row[rng.IntN(n)] = 1
	return row
}

// rowOf returns logits whose softmax is the given probabilities.
func rowOf(probs ...float64) []float32 {
	row := make([]float32, len(probs))
	for i, p := range probs {
		row[i] = float32(math.Log(p))
	}
	return row
}

func ids(list []Candidate) []int32 {
	out := make([]int32, len(list))
	for i, c := range list {
		out[i] = c.ID
	}
	return out
}
