package attention

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// observed is the scores of a policy that was shown how queries, at the positions from pos on, attend to rows with the
// given keys: to the past ones alone if past is not negative.
func observed(t *testing.T, impl *kernels.Implementation, keys [][]float32, past, pos int, queries ...[]float32) []float32 {
	t.Helper()
	e, err := kvcache.NewEviction("kvzip", []int{100})
	if err != nil {
		t.Fatal(err)
	}
	dim := len(keys[0])
	c, err := kvcache.New(kvcache.Config{Layers: 1, Heads: 1, KeyDim: dim, ValueDim: dim, Type: quant.F32, Marks: e.Needs().Marks})
	if err != nil {
		t.Fatal(err)
	}
	q := Queries{QStride: dim, Heads: 1}
	positions := make([]int32, len(keys))
	for i := range positions {
		positions[i] = int32(i)
	}
	if _, err := c.Append(positions); err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		if err := c.Put(0, 0, i, stored(t, key), stored(t, key)); err != nil {
			t.Fatal(err)
		}
	}
	for i, query := range queries {
		q.Q, q.Positions = append(q.Q, query...), append(q.Positions, int32(pos+i))
	}
	view, rows := c.View(0, 0), c.RowsOf(0, 0)
	p := Params{Scale: float32(1 / math.Sqrt(float64(dim)))}
	Weights(impl, &q, &view, past, &p, NewScratch(new(kernels.Scratch)), func(row, head int, weights []float32) {
		e.Policy().Observe(&rows, &kvcache.Query{Number: row, Of: len(queries), Head: head, Group: 1}, weights)
	})
	l := kvcache.Layer{Heads: []kvcache.Rows{rows}, Scores: [][]float32{make([]float32, len(keys))}}
	e.Policy().Score(&l)
	return l.Scores[0]
}

// The most attention that three rows get from two queries, worked by hand: among the rows of the past alone, and with those
// of the queries' own tokens.
func TestMostAttention(t *testing.T) {
	keys := [][]float32{{1, 0}, {0, 1}, {1, 1}, {.5, .5}, {1, -1}}
	for _, impl := range kernels.Implementations() {
		for past, want := range map[int][]float32{3: {.401112, .445808, .445808}, -1: {.312964, .357744, .357744}} {
			got := observed(t, impl, keys, past, 3, []float32{1, 0}, []float32{0, 2})[:3]
			for i := range want {
				if d := got[i] - want[i]; max(d, -d) > 2e-6 {
					t.Errorf("%s, past %d: %v, want %v", impl.Name, past, got, want)
					break
				}
			}
		}
	}
}

// A row whose key is what one of the queries looks for gets the largest score.
func TestKeyLikeAQueryScoresMost(t *testing.T) {
	const dim, past = 32, 150
	for _, impl := range kernels.Implementations() {
		rng := rand.New(rand.NewPCG(5, 6))
		var keys, queries [][]float32
		for range past {
			keys = append(keys, unit(randoms(rng, dim), 1))
		}
		for range 7 {
			queries = append(queries, unit(randoms(rng, dim), 30))
		}
		keys[87] = unit(append([]float32(nil), queries[4]...), 1)
		scores := observed(t, impl, keys, past, past, queries...)
		for i, s := range scores {
			if i != 87 && s >= scores[87] {
				t.Errorf("%s: row %d has %v, the row that is looked for %v", impl.Name, i, s, scores[87])
			}
		}
	}
}

// unit scales a vector to a length.
func unit(x []float32, length float64) []float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	for i := range x {
		x[i] *= float32(length / math.Sqrt(sum))
	}
	return x
}
