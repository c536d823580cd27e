package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights/quant"
)

// naiveLandmarks reads a text with landmark tokens in float64, some tokens at a time, row by row as Mohtashami and Jaggi 2023
// (section 3.2) say it, without pages, tiles or running softmaxes. Keys are kept as they are before RoPE.
type naiveLandmarks struct {
	naive
	open, local int
	share       attention.Sharing

	rotation []float64   // [positions][pairs] cosine, sine
	masses   [][]float64 // of the heads of each row that was read last, layer by layer: what they open of what they choose by
}

// naiveRows are the keys and values of some rows.
type naiveRows struct{ keys, values [][]float64 }

func (r naiveRows) part(from, to int) naiveRows { return naiveRows{r.keys[from:to], r.values[from:to]} }

// layerTensors are those of a layer, by their names in a file without what is around them.
type layerTensors map[string][]float64

func (n *naiveLandmarks) layer(l int) layerTensors {
	t := layerTensors{}
	for _, name := range []string{
		"attn_norm.weight", "attn_q.weight", "attn_q.bias", "attn_k.weight", "attn_k.bias", "attn_v.weight", "attn_v.bias",
		"attn_output.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight",
	} {
		t[name] = n.tensor(fmt.Sprintf("blk.%d.%s", l, name))
	}
	return t
}

// logits are those after each token.
func (n *naiveLandmarks) logits(tokens []int32) (all [][]float64) {
	c := n.cfg
	embedding, output, norm := n.tensor("token_embd.weight"), n.tensor("output.weight"), n.tensor("output_norm.weight")
	if output == nil {
		output = embedding
	}
	layers, stored := make([]layerTensors, c.Layers), make([]naiveRows, c.Layers)
	for l := range layers {
		layers[l] = n.layer(l)
	}
	for at := 0; at < len(tokens); at += n.local {
		var rows [][]float64
		var ordinary []int
		for i, id := range tokens[at:min(at+n.local, len(tokens))] {
			ordinary = append(ordinary, len(rows))
			rows = append(rows, slices.Clone(embedding[int(id)*c.Embedding:][:c.Embedding]))
			if (at+i+1)%c.Landmark.Block == 0 {
				rows = append(rows, slices.Clone(embedding[c.Landmark.Token*c.Embedding:][:c.Embedding]))
			}
		}
		n.masses = nil
		for l, t := range layers {
			n.attention(rows, t, &stored[l])
			for _, x := range rows {
				in := n.norm(x, t["ffn_norm.weight"])
				accumulate(x, n.gated(times(t["ffn_gate.weight"], in, nil), times(t["ffn_up.weight"], in, nil), t["ffn_down.weight"]), 1)
			}
		}
		for _, i := range ordinary {
			all = append(all, times(output, n.norm(rows[i], norm), nil))
		}
	}
	return all
}

// attention adds to rows what they attend to, and their keys and values to what is stored.
func (n *naiveLandmarks) attention(rows [][]float64, t layerTensors, stored *naiveRows) {
	c, block := n.cfg, n.cfg.Landmark.Block+1
	finished := len(stored.keys) / block
	slots := attention.Slots{Stored: finished, Open: n.open, Block: block}
	before := len(stored.keys)
	var queries [][]float64
	for _, x := range rows {
		x = n.norm(x, t["attn_norm.weight"])
		queries = append(queries, times(t["attn_q.weight"], x, t["attn_q.bias"]))
		stored.keys = append(stored.keys, times(t["attn_k.weight"], x, t["attn_k.bias"]))
		stored.values = append(stored.values, times(t["attn_v.weight"], x, t["attn_v.bias"]))
	}
	chosen := n.chooses(queries, *stored, slots, slots.Start()+before-finished*block)
	for i, q := range queries {
		out, end := make([]float64, c.Heads*c.ValueDim), before+i+1
		own := (end - 1) / block
		for h := range c.Heads {
			q, kv := q[h*c.KeyDim:][:c.KeyDim], h/(c.Heads/c.KVHeads)
			at := slots.Start() + end - 1 - finished*block
			var gates []float64
			var means [][]float64
			fold := func(b, position int) {
				inner, mean := n.scores(q, at, stored.part(b*block, (b+1)*block), position, kv), make([]float64, c.ValueDim)
				n.average(mean, inner[:block-1], stored.part(b*block, (b+1)*block), kv)
				gates, means = append(gates, inner[block-1]), append(means, mean)
			}
			for rank, b := range chosen[i*c.Heads+h] {
				fold(b, slots.Row(rank, b))
			}
			for b := finished; b < own; b++ {
				fold(b, slots.Start()+(b-finished)*block)
			}
			ordinary := stored.part(own*block, min(end, own*block+block-1)) // no query sees its own block's landmark
			scores := n.scores(q, at, ordinary, slots.Start()+(own-finished)*block, kv)
			n.weigh(q, at, *stored, slots, chosen[i*c.Heads+h], slices.Concat(scores, gates[len(chosen[i*c.Heads+h]):]), i, kv)
			weights := softmaxOf(append(scores, gates...))
			for j, v := range ordinary.values {
				accumulate(out[h*c.ValueDim:][:c.ValueDim], v[kv*c.ValueDim:][:c.ValueDim], weights[j])
			}
			for j, mean := range means {
				accumulate(out[h*c.ValueDim:][:c.ValueDim], mean, weights[len(scores)+j])
			}
		}
		accumulate(rows[i], times(t["attn_output.weight"], out, nil), 1)
	}
}

// weigh appends what a head of a row of the batch opens to the masses of the row; near is scores of what is not stored.
func (n *naiveLandmarks) weigh(q []float64, at int, stored naiveRows, slots attention.Slots, chosen []int, near []float64, row, kvHead int) {
	var open, closed float64
	for _, s := range near {
		open += math.Exp(s)
	}
	for b := range slots.Stored {
		landmark := (b+1)*slots.Block - 1
		if w := math.Exp(n.scores(q, at, stored.part(landmark, landmark+1), slots.Landmark(b), kvHead)[0]); slices.Contains(chosen, b) {
			open += w
		} else {
			closed += w
		}
	}
	for len(n.masses) <= row {
		n.masses = append(n.masses, nil)
	}
	n.masses[row] = append(n.masses[row], open/(open+closed))
}

// chooses says which blocks each head of each query opens.
func (n *naiveLandmarks) chooses(queries [][]float64, stored naiveRows, slots attention.Slots, at int) [][]int {
	c, block := n.cfg, slots.Block
	shares := make([][]float64, len(queries)*c.Heads)
	for i, q := range queries {
		for h := range c.Heads {
			var scores []float64
			for b := range slots.Stored {
				row := b*block + block - 1
				scores = append(scores, n.scores(q[h*c.KeyDim:][:c.KeyDim], at+i, stored.part(row, row+1), slots.Landmark(b), h/(c.Heads/c.KVHeads))...)
			}
			shares[i*c.Heads+h] = scores
			if n.share != attention.PerTokenAndHead {
				shares[i*c.Heads+h] = softmaxOf(scores)
			}
		}
	}
	pooled := map[int][]float64{} // of the sets of queries that share
	for j, share := range shares {
		set := n.share.Set(j/c.Heads, j%c.Heads, c.Heads)
		if pooled[set] == nil {
			pooled[set] = slices.Clone(share)
		}
		for b, v := range share {
			pooled[set][b] = max(pooled[set][b], v)
		}
	}
	chosen := make([][]int, len(shares))
	for j := range chosen {
		chosen[j] = bySelection(pooled[n.share.Set(j/c.Heads, j%c.Heads, c.Heads)], slots.Opened())
	}
	return chosen
}

// scores are those of a query at a position with the keys of rows from another one on.
func (n *naiveLandmarks) scores(q []float64, at int, rows naiveRows, first, kvHead int) []float64 {
	c := n.cfg
	pairs := c.KeyDim / 2
	scores := make([]float64, len(rows.keys))
	for j, k := range rows.keys {
		k = k[kvHead*c.KeyDim:][:c.KeyDim]
		angles := n.angles(at - first - j)
		for i := range pairs {
			cos, sin := angles[2*i], angles[2*i+1]
			a, b := q[i]*cos-q[i+pairs]*sin, q[i]*sin+q[i+pairs]*cos
			scores[j] += a*k[i] + b*k[i+pairs]
		}
		scores[j] *= float64(c.AttentionScale)
	}
	return scores
}

// angles are the cosines and sines by which two positions differ that are so far apart.
func (n *naiveLandmarks) angles(apart int) []float64 {
	d := n.cfg.Rope.Dimensions
	for have := len(n.rotation) / d; have <= apart; have++ {
		for i := range d / 2 {
			s, c := math.Sincos(float64(have) * math.Pow(n.cfg.Rope.Base, -2*float64(i)/float64(d)))
			n.rotation = append(n.rotation, c, s)
		}
	}
	return n.rotation[apart*d:][:d]
}

// average makes to the mean of values, weighed by the softmax of scores.
func (n *naiveLandmarks) average(to, scores []float64, rows naiveRows, kvHead int) {
	for j, w := range softmaxOf(scores) {
		accumulate(to, rows.values[j][kvHead*n.cfg.ValueDim:][:n.cfg.ValueDim], w)
	}
}

func softmaxOf(scores []float64) []float64 {
	weights, most, sum := make([]float64, len(scores)), math.Inf(-1), 0.
	for _, s := range scores {
		most = max(most, s)
	}
	for j, s := range scores {
		weights[j] = math.Exp(s - most)
		sum += weights[j]
	}
	for j := range weights {
		weights[j] /= sum
	}
	return weights
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// bySelection chooses as the program does that made the golden logits: a quickselect leaves the best in front, equal ones where
// it happens to bring them.
func bySelection(scores []float64, k int) []int {
	x := make([]int, len(scores))
	for i := range x {
		x[i] = i
	}
	better := func(a, b int) bool { return scores[x[a]] > scores[x[b]] }
	swap := func(a, b int) { x[a], x[b] = x[b], x[a] }
	from, to := 0, len(x)
	for k > 0 && to-from > 3 {
		a, b, c := from+1, from+(to-from)/2, to-1
		if !better(a, b) {
			a, b = b, a
		}
		switch { // the median becomes the pivot, in front
		case better(b, c):
			swap(from, b)
		case better(a, c):
			swap(from, c)
		default:
			swap(from, a)
		}
		low, high := from+1, to
		for {
			for better(low, from) {
				low++
			}
			high--
			for better(from, high) {
				high--
			}
			if low >= high {
				break
			}
			swap(low, high)
			low++
		}
		if low < k {
			from = low
		} else {
			to = low
		}
	}
	slices.SortStableFunc(x[from:to], func(a, b int) int { return -compareFloats(scores[a], scores[b]) })
	chosen := x[:k]
	slices.Sort(chosen)
	return chosen
}

// In the first layer, where keys are those of tokens alone, all landmarks have the same key, and those in slot 0 the same score:
// the golden logits are met by breaking ties as the program does that made them.
func TestLandmarkRetrievalPrototype(t *testing.T) {
	g := testdata.PrototypeGolden(t, "landmark_retrieval")
	m, file := openPrototypeFile(t, "landmark")
	n := &naiveLandmarks{naive: naive{file: file, cfg: m.Config}, open: m.Landmark.Blocks, local: m.Landmark.Local}
	got, want := landmarkLogits(t, newRunner(t, m, 1), newSequence(t, m, quant.F32), g.Tokens, n.local), n.logits(g.Tokens)
	testdata.CheckTop(t, "naive", want, g)
	testdata.CheckTop(t, "model", got, g)
	checkNear(t, "model and naive", got, want)

	// Token by token queries see blocks instead of the tokens read with them, so that logits are others; there are golden ones of chunks
	// alone, but the naive model, which has met these, has both.
	n.local = 1
	checkNear(t, "token by token", landmarkLogits(t, newRunner(t, m, 1), newSequence(t, m, quant.F32), g.Tokens, 1), n.logits(g.Tokens))
}

func TestLandmarksAreTheNaiveOnes(t *testing.T) {
	file := edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: with(landmarks(), "mneme.attention.landmark.block_length", uint32(5))})
	m, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, m, 2)
	for _, c := range []struct {
		method      string
		open, local int
		share       attention.Sharing
		length      int
	}{
		{"landmark:blocks=100,local=1000", 100, 1000, attention.PerTokenAndHead, 97},
		{"landmark:blocks=100,local=1", 100, 1, attention.PerTokenAndHead, 98},
		{"landmark:blocks=3,local=20", 3, 20, attention.PerTokenAndHead, 97},
		{"landmark:blocks=3,local=20", 3, 20, attention.PerTokenAndHead, 100}, // the last token finishes a block
		{"landmark:blocks=3,local=7", 3, 7, attention.PerTokenAndHead, 97},    // blocks end within a batch
		{"landmark:blocks=1,local=1", 1, 1, attention.PerTokenAndHead, 95},
		{"landmark:blocks=2,local=9,share=heads", 2, 9, attention.MaxOverHeads, 97},
		{"landmark:blocks=2,local=9,share=tokens", 2, 9, attention.MaxOverTokens, 97},
	} {
		tokens := text(c.length, 11)
		n := &naiveLandmarks{naive: naive{file: file, cfg: m.Config}, open: c.open, local: c.local, share: c.share}
		method, err := attention.NewMethod(c.method, 0)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, Attention: method})
		if err != nil {
			t.Fatal(err)
		}
		want := n.logits(tokens)
		first := (len(tokens) - 1) / c.local * c.local
		got := landmarkLogits(t, r, s, tokens[:first], c.local)
		s.Mass = []float64{}
		checkNear(t, c.method, append(got, landmarkBatch(t, r, s, tokens[first:], first)...), want)
		row := s.RowsOf(len(tokens)-1) - s.RowsOf(first)
		for i, mass := range n.masses[row] {
			if d := math.Abs(s.Mass[i] - mass); len(s.Mass) != len(n.masses[row]) || !(d < 1e-5) || c.open == 100 && s.Mass[i] != 1 {
				t.Fatalf("%s: masses %v, want %v", c.method, s.Mass, n.masses[row])
			}
		}
	}
}

// landmarkLogits has a sequence read tokens, so many at a time, and returns the logits after each.
func landmarkLogits(t *testing.T, r *Runner, s *Sequence, tokens []int32, step int) (logits [][]float32) {
	t.Helper()
	for at := 0; at < len(tokens); at += step {
		logits = append(logits, landmarkBatch(t, r, s, tokens[at:min(at+step, len(tokens))], at)...)
	}
	return logits
}

func landmarkBatch(t *testing.T, r *Runner, s *Sequence, tokens []int32, first int) (logits [][]float32) {
	t.Helper()
	rows := s.Rows(nil, tokens, first)
	for i := range rows {
		rows[i].Logits = int(rows[i].Token) != s.model.Landmark.Token
	}
	err := r.Forward(rows, nil, func(_ int, values []float32) { logits = append(logits, slices.Clone(values)) })
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// checkNear holds logits against naive ones.
func checkNear(t *testing.T, how string, got [][]float32, want [][]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: logits after %d tokens, want %d", how, len(got), len(want))
	}
	worst := 0.
	for i, row := range want {
		for j, v := range row {
			d := math.Abs(float64(got[i][j]) - v)
			if !(d <= 1e-3) {
				t.Fatalf("%s: token %d, logit %d: %v, want %v", how, i, j, got[i][j], v)
			}
			worst = max(worst, d)
		}
	}
	t.Logf("%s: largest difference %.2g", how, worst)
}
