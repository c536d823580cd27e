package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
)

var (
	infinity = float32(math.Inf(1))
	nan      = float32(math.NaN())
)

// inBlocks marks every n-th row, first the one of number n-1, as a landmark's.
func inBlocks(rows, n int) []bool {
	landmark := make([]bool, rows)
	for i := n - 1; i < rows; i += n {
		landmark[i] = true
	}
	return landmark
}

// marked marks the rows with a number.
func marked(rows int, landmarks ...int) []bool {
	landmark := make([]bool, rows)
	for _, i := range landmarks {
		landmark[i] = true
	}
	return landmark
}

// equations are the grouped softmax as equations 1 to 4 define it, from scores [rows][rows].
func equations(scores [][]float64, landmark []bool) (weights [][]float64) {
	for i := range landmark {
		weights = append(weights, equationsOf(scores[i], landmark, i))
	}
	return weights
}

// equationsOf are the weights of query i. Landmarks that close no ordinary token are in no group.
func equationsOf(scores []float64, landmark []bool, i int) []float64 {
	n := len(landmark)
	p := make([]int, n)
	for j := range p {
		for p[j] = j; p[j] < n && !landmark[p[j]]; {
			p[j]++
		}
	}
	group, sums, w := make([]int, n), make(map[int]float64), make([]float64, n)
	for j := range i + 1 {
		switch empty := j == 0 || landmark[j-1]; {
		case !landmark[j]:
			group[j] = p[j]
		case j == p[i] || empty:
			group[j] = -1
		default:
			group[j] = p[i]
		}
		sums[group[j]] += math.Exp(scores[j])
	}
	softmax := func(j int) float64 { return math.Exp(scores[j]) / sums[group[j]] }
	for j := range i + 1 {
		switch {
		case landmark[j]:
		case group[j] == p[i]:
			w[j] = softmax(j)
		default:
			w[j] = softmax(j) * softmax(p[j])
		}
	}
	return w
}

func wide(x []float32, width int) (rows [][]float64) {
	for from := 0; from < len(x); from += width {
		row := make([]float64, width)
		for i, v := range x[from : from+width] {
			row[i] = float64(v)
		}
		rows = append(rows, row)
	}
	return rows
}

// layouts are texts in blocks: whole and unfinished ones, with a window that begins within a block or with a landmark, with
// empty blocks.
var layouts = map[string][]bool{
	"none":             marked(9),
	"one token":        marked(1),
	"one landmark":     marked(1, 0),
	"blocks of 3":      inBlocks(9, 3),
	"unfinished":       inBlocks(11, 3),
	"begins in block":  marked(12, 1, 5, 9),
	"begins with one":  marked(10, 0, 4, 8),
	"two in a row":     marked(14, 3, 4, 5, 9, 13),
	"all":              inBlocks(6, 1),
	"blocks of 2":      inBlocks(13, 2),
	"longer than some": inBlocks(75, 18),
	"51":               inBlocks(160, 51),
}

func weightsOf(t interface{ Fatal(...any) }, impl *kernels.Implementation, scores []float32, landmark []bool) []float32 {
	w := make([]float32, len(scores))
	if err := GroupedWeights(impl, w, scores, NewGroups(landmark), NewGroupedScratch(new(kernels.Scratch))); err != nil {
		t.Fatal(err)
	}
	return w
}

// near says whether x is within so much of want; a NaN is not.
func near(x, want, tolerance float64) bool { return math.Abs(x-want) <= tolerance }

func TestLandmarkOfARow(t *testing.T) {
	for _, c := range []struct {
		landmark []bool
		want     []int
	}{
		{inBlocks(9, 3), []int{2, 2, 2, 5, 5, 5, 8, 8, 8}},
		{inBlocks(8, 3), []int{2, 2, 2, 5, 5, 5, 8, 8}},
		{inBlocks(7, 3), []int{2, 2, 2, 5, 5, 5, 7}},
		{marked(6, 0, 3, 4), []int{0, 3, 3, 3, 4, 6}},
		{marked(3), []int{3, 3, 3}},
		{nil, nil},
	} {
		g := NewGroups(c.landmark)
		var got []int
		for j := range g.Rows() {
			got = append(got, g.Landmark(j))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.landmark, got, c.want)
		}
	}
}

func TestGroupedWeightsAreTheEquations(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for name, landmark := range layouts {
			for _, spread := range []float32{0, 1, 8} {
				n := len(landmark)
				rng := rand.New(rand.NewPCG(uint64(n), 11))
				scores := randoms(rng, n*n)
				multiply(scores, spread)
				want := equations(wide(scores, n), landmark)
				for i := range n { // what comes after the query must not matter
					fill(scores[i*n+i+1:(i+1)*n], nan)
				}
				w := weightsOf(t, impl, scores, landmark)
				for i, row := range wide(w, n) {
					for j, got := range row {
						if !near(got, want[i][j], 2e-6) {
							t.Fatalf("%s, %s, scores ±%v: query %d, row %d: %v, want %v", impl.Name, name, spread, i, j, got, want[i][j])
						}
					}
				}
				if err := GroupedWeights(impl, scores, scores, NewGroups(landmark), NewGroupedScratch(new(kernels.Scratch))); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(scores, w) {
					t.Fatalf("%s, %s: other weights in the place of the scores", impl.Name, name)
				}
			}
		}
	}
}

// Worked examples, over blocks of two tokens and a landmark.
func TestGroupedWeightsGolden(t *testing.T) {
	const n = 9
	scores := []float32{.5, -1, 1.5, 2, 0, -.5, 1, .25, 3}
	ones := []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}
	for _, impl := range kernels.Implementations() {
		for _, c := range []struct {
			query  int
			scores []float32
			want   []float64
		}{
			{6, ones, []float64{1. / 6, 1. / 6, 0, 1. / 6, 1. / 6, 0, 1. / 3}},
			{0, scores, []float64{1}},
			{1, scores, []float64{.817574, .182426}},
			{2, scores, []float64{.817574, .182426, 0}},
			{4, scores, []float64{.284686, .063522, 0, .574097, .077696}},
			{5, scores, []float64{.284686, .063522, 0, .574097, .077696, 0}},
			{7, scores, []float64{.403070, .089937, 0, .058768, .007953, 0, .299024, .141249}},
			{8, scores, []float64{.403070, .089937, 0, .058768, .007953, 0, .299024, .141249, 0}},
		} {
			w := weightsOf(t, impl, slices.Repeat(c.scores, n), inBlocks(n, 3))
			for j, got := range w[c.query*n : (c.query+1)*n] {
				var want float64
				if j < len(c.want) {
					want = c.want[j]
				}
				if !near(float64(got), want, 1e-6) {
					t.Errorf("%s, query %d, row %d: %v, want %v", impl.Name, c.query, j, got, want)
				}
			}
		}
	}
}

// Without a finished block, the grouped softmax is the softmax.
func TestGroupedWeightsWithoutLandmarks(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, landmark := range [][]bool{marked(40), marked(40, 39), marked(40, 0)} {
			n := len(landmark)
			scores := randoms(rand.New(rand.NewPCG(8, 1)), n*n)
			w := weightsOf(t, impl, scores, landmark)
			for i := range n {
				var sum float64
				for j := range i + 1 {
					if !landmark[j] {
						sum += math.Exp(float64(scores[i*n+j]))
					}
				}
				for j := range n {
					var want float64
					if j <= i && !landmark[j] {
						want = math.Exp(float64(scores[i*n+j])) / sum
					}
					if !near(float64(w[i*n+j]), want, 1e-6) {
						t.Fatalf("%s, query %d, row %d: %v, want %v", impl.Name, i, j, w[i*n+j], want)
					}
				}
			}
		}
	}
}

// Weights of a query add up to 1, those of landmarks and of what comes after it are 0, whatever the text and the scores,
// infinite ones too, as long as one ordinary token of its own block may be seen, or an earlier block.
func TestGroupedWeightsAddUp(t *testing.T) {
	impls := kernels.Implementations()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "rows")
		landmark := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "landmarks")
		if rapid.Bool().Draw(t, "few") {
			landmark = inBlocks(n, rapid.IntRange(1, 20).Draw(t, "block"))
		}
		score := rapid.OneOf(rapid.Float32Range(-5, 5), rapid.SampledFrom([]float32{hidden, infinity, -3e38, 3e38, 0, 1e-40, -104, 88}))
		scores := rapid.SliceOfN(score, n*n, n*n).Draw(t, "scores")
		impl := rapid.SampledFrom(impls).Draw(t, "implementation")
		w := weightsOf(t, impl, scores, landmark)
		for i := range n {
			seen, sum := false, float64(0)
			block := false // a token that is seen in the block at hand
			for j := range i + 1 {
				if !landmark[j] {
					block = block || scores[i*n+j] > hidden
				} else {
					seen = seen || block && j < i && scores[i*n+j] > hidden
					block = block && j == i
				}
			}
			seen = seen || block
			for j, v := range w[i*n : (i+1)*n] {
				if !(v >= 0) || v > 0 && (j > i || landmark[j]) {
					t.Fatalf("query %d, row %d: weight %v", i, j, v)
				}
				sum += float64(v)
			}
			want := 0.
			if seen {
				want = 1
			}
			if !near(sum, want, 1e-5) {
				t.Fatalf("query %d: weights add up to %v, want %v", i, sum, want)
			}
		}
	})
}

// With landmarks that nobody looks for, a query sees its own block alone; with one that it looks for more than for anything,
// that block alone.
func TestGroupedWeightsOfInfiniteScores(t *testing.T) {
	const n, block = 21, 5 // the last one is unfinished
	landmark := inBlocks(n, block)
	alone := func(scores []float32, i, from, to int) []float64 {
		want, sum := make([]float64, n), float64(0)
		for j := from; j < to; j++ {
			want[j] = math.Exp(float64(scores[i*n+j]))
			sum += want[j]
		}
		for j := range want {
			want[j] /= sum
		}
		return want
	}
	for _, impl := range kernels.Implementations() {
		plain := randoms(rand.New(rand.NewPCG(4, 4)), n*n)
		for _, low := range []float32{hidden, -3e38, -1e4} {
			scores := slices.Clone(plain)
			for i := range n {
				for j := block - 1; j < n; j += block {
					scores[i*n+j] = low
				}
			}
			w := wide(weightsOf(t, impl, scores, landmark), n)
			for i := range n {
				to := i + 1
				if landmark[i] {
					to--
				}
				checkWeights(t, fmt.Sprintf("%s, landmarks %v, query %d", impl.Name, low, i), w[i], alone(scores, i, i/block*block, to))
			}
		}
		for _, high := range []float32{infinity, 3e38, 1e4} {
			for at := block - 1; at < n; at += block {
				scores := slices.Clone(plain)
				for i := range n {
					scores[i*n+at] = high
				}
				w := wide(weightsOf(t, impl, scores, landmark), n)
				for i := at + 1; i < n; i++ {
					checkWeights(t, fmt.Sprintf("%s, landmark %d %v, query %d", impl.Name, at, high, i), w[i], alone(scores, i, at-block+1, at))
				}
				// The landmark's own query does not see it.
				unraised := equations(wide(plain, n), landmark)
				checkWeights(t, fmt.Sprintf("%s, landmark %d %v, its own query", impl.Name, at, high), w[at], unraised[at])
			}
		}
		// Two of them share; a block of which nothing is seen has no landmark.
		scores := slices.Clone(plain)
		row := scores[20*n:]
		row[4], row[14] = infinity, infinity
		w := wide(weightsOf(t, impl, scores, landmark), n)
		want := alone(scores, 20, 0, 4)
		for j, v := range alone(scores, 20, 10, 14) {
			want[j] = (want[j] + v) / 2
		}
		checkWeights(t, impl.Name+", two landmarks", w[20], want)
		fill(row[10:14], hidden)
		checkWeights(t, impl.Name+", a landmark of nothing", wide(weightsOf(t, impl, scores, landmark), n)[20], alone(scores, 20, 0, 4))
		// What is not a number is not hidden.
		row[4], row[14], row[2] = 0, 0, nan
		got := wide(weightsOf(t, impl, scores, landmark), n)[20]
		if got[0] == got[0] || got[3] == got[3] || !(got[6] > 0) || !(got[20] > 0) {
			t.Errorf("%s: a score that is not a number gives weights %v", impl.Name, got)
		}
	}
}

func checkWeights(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for j, v := range got {
		if !near(v, want[j], 1e-6) {
			t.Fatalf("%s: weights %v, want %v", what, got, want)
		}
	}
}

// The gradient with respect to the scores is what differences of the equations say.
func TestGroupedBackward(t *testing.T) {
	const h = 1e-5
	for _, impl := range kernels.Implementations() {
		for name, landmark := range layouts {
			n := len(landmark)
			if n > 80 {
				continue
			}
			rng := rand.New(rand.NewPCG(uint64(n), 12))
			scores, loss := randoms(rng, n*n), randoms(rng, n*n)
			d := slices.Clone(loss)
			for i := range n {
				for j := range n {
					if j > i || landmark[j] {
						d[i*n+j] = nan // of weights that are always 0
					}
				}
			}
			if err := GroupedBackward(impl, d, weightsOf(t, impl, scores, landmark), NewGroups(landmark), NewGroupedScratch(new(kernels.Scratch))); err != nil {
				t.Fatal(err)
			}
			at := wide(scores, n)
			lossOf := func(i int) (sum float64) {
				for j, w := range equationsOf(at[i], landmark, i) {
					sum += w * float64(loss[i*n+j])
				}
				return sum
			}
			for i := range n {
				for j := range n {
					was := at[i][j]
					at[i][j] = was + h
					more := lossOf(i)
					at[i][j] = was - h
					less := lossOf(i)
					at[i][j] = was
					if want := (more - less) / (2 * h); !near(float64(d[i*n+j]), want, 2e-6) {
						t.Fatalf("%s, %s: score of query %d with row %d: gradient %v, want %v", impl.Name, name, i, j, d[i*n+j], want)
					}
				}
			}
		}
	}
}

// Where a landmark has everything or nothing, gradients are numbers.
func TestGroupedBackwardOfInfiniteScores(t *testing.T) {
	const n, block = 24, 5
	for _, impl := range kernels.Implementations() {
		for _, score := range []float32{infinity, hidden, 3e38, -3e38, 95, -95, -103} {
			for at := range n {
				rng := rand.New(rand.NewPCG(7, uint64(at)))
				scores, d := randoms(rng, n*n), randoms(rng, n*n)
				for i := range n {
					scores[i*n+at] = score
				}
				w := weightsOf(t, impl, scores, inBlocks(n, block))
				if err := GroupedBackward(impl, d, w, NewGroups(inBlocks(n, block)), NewGroupedScratch(new(kernels.Scratch))); err != nil {
					t.Fatal(err)
				}
				for i, v := range d {
					if !(max(v, -v) < 20) {
						t.Fatalf("%s, row %d scores %v: gradient of query %d, row %d: %v", impl.Name, at, score, i/n, i%n, v)
					}
				}
			}
		}
	}
}

func TestGroupedWeightsRefuse(t *testing.T) {
	impl, s, g := kernels.Implementations()[0], NewGroupedScratch(new(kernels.Scratch)), NewGroups(marked(3, 2))
	for _, c := range [][2]int{{9, 8}, {8, 9}, {0, 9}, {10, 9}, {9, 10}} {
		if GroupedWeights(impl, make([]float32, c[0]), make([]float32, c[1]), g, s) == nil || GroupedBackward(impl, make([]float32, c[0]), make([]float32, c[1]), g, s) == nil {
			t.Errorf("%d and %d values for 3 rows are no error", c[0], c[1])
		}
	}
	if err := GroupedWeights(impl, nil, nil, NewGroups(nil), s); err != nil {
		t.Error(err)
	}
}
