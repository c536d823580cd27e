package attention

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
)

// The zones of RetroInfer, of all clusters.
const (
	retrieved = .018
	estimated = .232
)

// topics makes rows of a text that comes back to some of so many topics, in runs of run rows on average: keys in the direction of their
// topic, with noise as large, around a bias that all have, as the keys of
// models have one. It returns the direction of each row's topic, too.
func topics(rng *rand.Rand, n, dim, topics, run int) (keys, about [][]float32) {
	directions := many(rng, topics, dim)
	bias, topic := randoms(rng, dim), 0
	for range n {
		if rng.IntN(run) == 0 {
			topic = rng.IntN(topics)
		}
		key := randoms(rng, dim)
		for i := range key {
			key[i] += 1.5*directions[topic][i] + 4*bias[i]
		}
		keys, about = append(keys, key), append(about, directions[topic])
	}
	return keys, about
}

// BenchmarkCaptured prints how much of the attention of queries about one of the topics goes to the rows of the clusters that
// their centroids rank first, beside as many rows in blocks of neighbours that are ranked by their mean keys, and as the best
// rows; and how far the output is from full attention, in units of its length, with clusters alone and with others estimated.
func BenchmarkCaptured(b *testing.B) {
	const n, dim = 8192, 64
	impls := kernels.Implementations()
	impl := impls[len(impls)-1]
	for _, run := range []int{1, 8, 64} {
		for _, segment := range []int{1024, n} {
			b.Run(fmt.Sprintf("run=%d/segment=%d", run, segment), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(uint64(run), 31))
				keys, about := topics(rng, n, dim, 300, run)
				c := clusterSegments(b, impl, keys, many(rng, n, dim), segment)
				asks := many(rng, 100, dim)
				for _, q := range asks {
					for i, v := range about[rng.IntN(n)] {
						q[i] = .5*q[i] + v
					}
				}
				var sums map[string]float64
				for b.Loop() {
					sums = c.zones(asks, &Params{Scale: 1 / float32(math.Sqrt(dim))})
				}
				b.ReportMetric(0, "ns/op")
				for unit, sum := range sums {
					b.ReportMetric(100*sum/float64(len(asks)), unit)
				}
				b.ReportMetric(float64(len(c.sizes)), "clusters")
				b.ReportMetric(float64(slices.Max(c.sizes)), "largest")
			})
		}
	}
}

// zones sums up over queries what BenchmarkCaptured prints.
func (c *clustered) zones(asks [][]float32, p *Params) map[string]float64 {
	n, sums := len(c.keys), map[string]float64{}
	each, block := numbers(n), numbers(n)
	for r := range block {
		block[r] /= 16
	}
	blocks, rows := groupsOf(c.keys, block), groupsOf(c.keys, each)
	for _, q := range asks {
		order := ranked(q, c.centroids)
		first := int(math.Round(retrieved * float64(len(order))))
		last := first + int(math.Round(estimated*float64(len(order))))
		budget := 0
		for _, j := range order[:first] {
			budget += int(c.sizes[j])
		}
		weights := softmaxOf(q, c.keys, p)
		sums["clusters-%"] += captured(weights, c.of, order, budget)
		sums["blocks-%"] += captured(weights, block, ranked(q, blocks), budget)
		sums["rows-%"] += captured(weights, each, ranked(q, rows), budget)
		full := c.formula(q, p, func(int32) bool { return true }, nil)
		exact := func(j int32) bool { return slices.Contains(order[:first], j) }
		sums["error-retrieved-%"] += distance(c.formula(q, p, exact, nil), full)
		sums["error-estimated-%"] += distance(c.formula(q, p, exact, order[first:last]), full)
	}
	return sums
}

// clusterSegments clusters rows segment by segment.
func clusterSegments(t rapid.TB, impl *kernels.Implementation, keys, values [][]float32, segment int) *clustered {
	t.Helper()
	all := &clustered{keys: keys, values: values}
	for first := 0; first < len(keys); first += segment {
		end := min(first+segment, len(keys))
		c := clusterRows(t, impl, keys[first:end], values[first:end], (end-first)/16)
		for _, j := range c.of {
			all.of = append(all.of, int32(len(all.sizes))+j)
		}
		all.centroids, all.means = append(all.centroids, c.centroids...), append(all.means, c.means...)
		all.sizes = append(all.sizes, c.sizes...)
	}
	return all
}

// groupsOf returns the mean keys of groups of rows.
func groupsOf(keys [][]float32, of []int32) [][]float32 {
	means := make([][]float32, slices.Max(of)+1)
	sizes := make([]float32, len(means))
	for r, j := range of {
		if means[j] == nil {
			means[j] = make([]float32, len(keys[r]))
		}
		sizes[j]++
		for i, v := range keys[r] {
			means[j][i] += (v - means[j][i]) / sizes[j]
		}
	}
	return means
}

// ranked orders groups by the score of their mean keys, the largest first.
func ranked(q []float32, means [][]float32) []int32 {
	scores := make([]float64, len(means))
	for j, mean := range means {
		for i, v := range q {
			scores[j] += float64(v) * float64(mean[i])
		}
	}
	order := numbers(len(means))
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(scores[b], scores[a]) })
	return order
}

// softmaxOf are the attention weights of rows.
func softmaxOf(q []float32, keys [][]float32, p *Params) []float64 {
	weights, sum := make([]float64, len(keys)), 0.0
	for r, key := range keys {
		var s float64
		for i, v := range q {
			s += float64(v) * float64(key[i])
		}
		weights[r] = math.Exp(s * float64(p.Scale))
		sum += weights[r]
	}
	for r := range weights {
		weights[r] /= sum
	}
	return weights
}

// captured is the weight of so many rows, those of the groups that come first.
func captured(weights []float64, of, order []int32, budget int) float64 {
	members := make([][]int, len(order))
	for r, j := range of {
		members[j] = append(members[j], r)
	}
	mass := 0.0
	for _, j := range order {
		for _, r := range members[j] {
			if budget == 0 {
				return mass
			}
			mass += weights[r]
			budget--
		}
	}
	return mass
}

// distance is the length of the difference of two vectors, in units of the second one's.
func distance(a, b []float64) float64 {
	var difference, length float64
	for i, v := range b {
		difference += (a[i] - v) * (a[i] - v)
		length += v * v
	}
	return math.Sqrt(difference / length)
}
