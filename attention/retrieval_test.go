package attention

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// newBlocks opens blocks of 16 rows after 16 sinks.
func newBlocks(summary kvcache.Summary, rows, local int) *Retrieval {
	return &Retrieval{Index: kvcache.Index{Summary: summary, Block: 16, Sinks: 16}, Rows: rows, Local: local}
}

// promise is what the summary of rows says of a query, in float64.
func promise(summary kvcache.Summary, q []float32, keys [][]float32) float64 {
	sum := 0.
	for d, v := range q {
		mean, most, least := 0., math.Inf(-1), math.Inf(1)
		for _, key := range keys {
			mean += float64(key[d]) / float64(len(keys))
			most, least = max(most, float64(key[d])), min(least, float64(key[d]))
		}
		if summary == kvcache.Mean {
			sum += float64(v) * mean
		} else {
			sum += max(float64(v)*most, float64(v)*least)
		}
	}
	return sum
}

// bestBlocks ranks blocks by the sum over queries of the softmax of what they promise.
func bestBlocks(r *Retrieval, queries, keys [][]float32, sealed int, scale float64) []int {
	n := (sealed - r.Index.Sinks) / r.Index.Block
	worth, order := make([]float64, n), make([]int, n)
	for _, q := range queries {
		scores, sum := make([]float64, n), 0.
		for b := range n {
			first := r.Index.Sinks + b*r.Index.Block
			scores[b] = math.Exp(scale * promise(r.Index.Summary, q, keys[first:first+r.Index.Block]))
			sum += scores[b]
		}
		for b := range n {
			worth[b] += scores[b] / sum
		}
	}
	for b := range order {
		order[b] = b
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(worth[b], worth[a]) })
	return order
}

// What queries open are the first rows, the newest ones and the blocks that promise the most, up to the budget; what they get
// is attention to these rows, and the mass that is told is theirs.
func TestBlocksThatPromiseTheMostAreOpened(t *testing.T) {
	const n, dim, local = 16 + 40*16 + 9, 32, 20
	rng := rand.New(rand.NewPCG(5, 1))
	keys, values := many(rng, n, dim), many(rng, n, dim)
	p := &Params{Scale: 1 / float32(math.Sqrt(dim))}
	for _, summary := range []kvcache.Summary{kvcache.Mean, kvcache.Bounds} {
		for _, budget := range []int{16 + 36 + 16, 300, 600} {
			for _, heads := range []int{1, 3} {
				w := newWave(t, newBlocks(summary, budget, local), quant.F32, keys, values, 1)
				sealed := w.clustered.Index(0, 0).Sealed
				asks := many(rng, heads, dim)
				for _, q := range asks {
					for i := range q {
						q[i] *= 3 // so that ranks are clear
					}
				}
				k := (budget - 16 - (n - sealed)) / 16
				best := bestBlocks(w.r, asks, keys, sealed, float64(p.Scale))[:k]
				var want []int32
				for row := range int32(n) {
					if b := (int(row) - 16) / 16; row < 16 || int(row) >= sealed || slices.Contains(best, b) {
						want = append(want, row)
					}
				}
				if len(want) > budget {
					t.Fatalf("%d rows are expected, more than the %d of the budget", len(want), budget)
				}
				for _, impl := range kernels.Implementations() {
					what := fmt.Sprintf("%s, summary %d, budget %d, heads %d", impl.Name, summary, budget, heads)
					out, s := make([]float32, heads*dim), NewScratch(new(kernels.Scratch))
					q := queries(slices.Concat(asks...), out, heads, dim, dim, n-1)
					var opened Opened
					w.open(impl, q, 1, p, s, &opened)
					if got := openRows(&opened.View); !slices.Equal(got, want) {
						t.Fatalf("%s: rows %v, want %v", what, got, want)
					}
					opened.Attend(impl, q, p, s)
					mass := make([]float64, heads)
					Mass(impl, q, &w.plain, &opened, p, s, mass, func(int) {})
					for h, ask := range asks {
						var some [2][][]float32
						for _, row := range want {
							some[0], some[1] = append(some[0], keys[row]), append(some[1], values[row])
						}
						for d, v := range twoPass(ask, some[0], some[1], want, n-1, p) {
							if !(math.Abs(float64(out[h*dim+d])-v) <= 1e-5) {
								t.Fatalf("%s: value %d of head %d is %v, want %v", what, d, h, out[h*dim+d], v)
							}
						}
						share := 0.
						for row, weight := range softmaxOf(ask, keys, p) {
							if slices.Contains(want, int32(row)) {
								share += weight
							}
						}
						if !(math.Abs(mass[h]-share) <= 1e-5) {
							t.Errorf("%s: a mass of %v, want %v", what, mass[h], share)
						}
					}
				}
			}
		}
	}
}

// However long the text is, a row that a query asks for is found: of many thousands of blocks most are looked at in groups.
func TestANeedleIsFound(t *testing.T) {
	const n, dim = 16 + 4500*16 + 30, 16
	rng := rand.New(rand.NewPCG(7, 1))
	keys := many(rng, n, dim)
	p := &Params{Scale: 1}
	for _, summary := range []kvcache.Summary{kvcache.Mean, kvcache.Bounds} {
		for _, at := range []int{20, n / 3, n - 100} {
			text := slices.Clone(keys)
			ask := randoms(rng, dim)
			needle := make([]float32, dim)
			for i, v := range ask {
				needle[i] = 12 * v
			}
			text[at] = needle
			w := newWave(t, newBlocks(summary, 400, 30), quant.F16, text, keys, 1)
			q := queries(ask, make([]float32, dim), 1, dim, dim, n-1)
			var opened Opened
			for _, impl := range kernels.Implementations() {
				w.open(impl, q, 1, p, NewScratch(new(kernels.Scratch)), &opened)
				rows := openRows(&opened.View)
				if !slices.Contains(rows, int32(at)) || len(rows) > 400 {
					t.Errorf("%s, summary %d: row %d is not among the %d that are opened", impl.Name, summary, at, len(rows))
				}
			}
		}
	}
}

// No key promises more than the bounds of its block say.
func TestBoundsAreBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	keys := many(rng, 160, 24)
	for range 100 {
		q := randoms(rng, 24)
		most := promise(kvcache.Bounds, q, keys)
		for _, key := range keys {
			if s := promise(kvcache.Mean, q, [][]float32{key}); s > most+1e-9 {
				t.Fatalf("a score of %v, bounds say %v", s, most)
			}
		}
	}
}

// With a budget for all rows that were there before those read with the queries, everything is opened, in the order of the
// text; fresh rows come on top.
func TestBlocksWithinTheBudget(t *testing.T) {
	const n, dim = 500, 16
	rng := rand.New(rand.NewPCG(11, 1))
	keys, values := many(rng, n, dim), many(rng, n, dim)
	impl, p, s := kernels.Implementations()[0], &Params{Scale: 1}, NewScratch(new(kernels.Scratch))
	for _, c := range []struct {
		budget, fresh int
		all           bool
	}{{500, 1, true}, {499, 1, false}, {401, 100, true}, {400, 100, false}} {
		w := newWave(t, newBlocks(kvcache.Mean, c.budget, 10), quant.F32, keys, values, c.fresh)
		q := queries(randoms(rng, dim), make([]float32, dim), 1, dim, dim, n-1)
		var opened Opened
		w.open(impl, q, c.fresh, p, s, &opened)
		if rows := openRows(&opened.View); (len(rows) == n) != c.all || len(rows) > c.budget+c.fresh-1 {
			t.Errorf("a budget of %d, %d fresh: %d rows are opened", c.budget, c.fresh, len(rows))
		}
	}
}

// BenchmarkOpen times the choice of blocks for one query by blocks alone and by groups first, and prints how much of the
// attention the opened rows hold: keys come back to topics, in runs, as in a text.
func BenchmarkOpen(b *testing.B) {
	const dim, most = 64, 1 << 18
	impls := kernels.Implementations()
	impl, rng := impls[len(impls)-1], rand.New(rand.NewPCG(13, 1))
	keys, about := topics(rng, most, dim, 2000, 100)
	p := &Params{Scale: 1 / float32(math.Sqrt(dim))}
	for _, n := range []int{1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18} {
		for _, summary := range []kvcache.Summary{kvcache.Mean, kvcache.Bounds} {
			r := &Retrieval{Index: kvcache.Index{Summary: summary, Block: DefaultBlock, Sinks: 64}, Rows: 2048, Local: 64}
			w := newWave(b, r, quant.F16, keys[:n], keys[:n], 1)
			view := w.clustered.View(0, 0)
			groups := w.clustered.Index(0, 0)
			alone := *groups
			alone.Groups.Spans = nil
			for _, c := range []struct {
				name  string
				index *kvcache.IndexView
			}{{"blocks", &alone}, {"groups", groups}} {
				b.Run(fmt.Sprintf("summary=%d/blocks=%d/%s", summary, groups.Blocks.Rows(), c.name), func(b *testing.B) {
					var opened Opened
					s, mass, sum, asked := NewScratch(new(kernels.Scratch)), make([]float64, 1), 0., 0
					ask := func() *Queries {
						q := randoms(rng, dim)
						for i, v := range about[rng.IntN(n)] {
							q[i] = .5*q[i] + v
						}
						return queries(q, make([]float32, dim), 1, dim, dim, int32(n-1))
					}
					for range 20 {
						q := ask()
						r.Open(impl, q, &view, c.index, 1, p, s, &opened)
						Mass(impl, q, &view, &opened, p, s, mass, func(int) {})
						sum += mass[0]
						asked++
					}
					q := ask()
					for b.Loop() {
						r.Open(impl, q, &view, c.index, 1, p, s, &opened)
					}
					b.ReportMetric(100*sum/float64(asked), "%mass")
				})
			}
		}
	}
}
