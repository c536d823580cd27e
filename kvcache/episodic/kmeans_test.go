package episodic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// blobs returns n points around k centres that are far apart, point i around centre i modulo k.
func blobs(n, k, dim int, seed uint64) [][]float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	points := make([][]float32, n)
	for i := range points {
		points[i] = make([]float32, dim)
		for j := range points[i] {
			points[i][j] = float32(rng.NormFloat64())
		}
		points[i][i%k%dim] += float32(100 * (1 + i%k/dim))
	}
	return points
}

// somePoints draws points of which some are equal, and some coordinates too.
func somePoints(t *rapid.T) [][]float32 {
	n, dim := rapid.IntRange(1, 24).Draw(t, "points"), rapid.IntRange(1, 4).Draw(t, "dim")
	coordinate := rapid.OneOf(
		rapid.Float32Range(-1, 1),
		rapid.SampledFrom([]float32{-1, float32(math.Copysign(0, -1)), 0, 1, 1e-30, 1e30}),
	)
	points := make([][]float32, n)
	for i := range points {
		points[i] = rapid.SliceOfN(coordinate, dim, dim).Draw(t, "point")
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "again") == 0 {
			points[i] = points[i-1]
		}
	}
	return points
}

// checkClusters says what every result must be: a partition without empty clusters, numbered by first members, with
// the means of the members.
func checkClusters(t interface{ Fatalf(string, ...any) }, points [][]float32, c Clusters) {
	if len(c.Of) != len(points) {
		t.Fatalf("%d points, clusters for %d", len(points), len(c.Of))
	}
	next := 0
	sums, counts := make([][]float64, len(c.Centroids)), make([]int, len(c.Centroids))
	for i, e := range c.Of {
		if e < 0 || e >= len(c.Centroids) || e > next {
			t.Fatalf("point %d is in cluster %d of %d, the next new one is %d", i, e, len(c.Centroids), next)
		}
		if e == next {
			next++
			sums[e] = make([]float64, len(points[0]))
		}
		for j, v := range points[i] {
			sums[e][j] += float64(v)
		}
		counts[e]++
	}
	if next != len(c.Centroids) {
		t.Fatalf("%d of %d clusters have members", next, len(c.Centroids))
	}
	for e, sum := range sums {
		for j := range sum {
			if want := float32(sum[j] / float64(counts[e])); c.Centroids[e][j] != want {
				t.Fatalf("centroid %d is %v in dimension %d, the mean is %v", e, c.Centroids[e][j], j, want)
			}
		}
	}
	var inertia float64
	for i, p := range points {
		for j, v := range p {
			d := float64(v) - sums[c.Of[i]][j]/float64(counts[c.Of[i]])
			inertia += d * d
		}
	}
	if !close2(inertia, c.Inertia) {
		t.Fatalf("inertia is %v, want %v", c.Inertia, inertia)
	}
}

// close2 reports whether two sums of squares are the same up to rounding.
func close2(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(math.Abs(a)+math.Abs(b)) }

func TestKMeansFindsGroups(t *testing.T) {
	for _, c := range []struct{ n, k, dim int }{{1, 1, 3}, {4, 4, 2}, {40, 4, 8}, {41, 3, 64}, {30, 6, 3}} {
		t.Run(label(c.n, c.k, c.dim), func(t *testing.T) {
			points := blobs(c.n, c.k, c.dim, 7)
			for seed := range uint64(20) {
				clusters, err := KMeans(points, c.k, seed, Restarts)
				if err != nil {
					t.Fatal(err)
				}
				checkClusters(t, points, clusters)
				for i, e := range clusters.Of {
					if e != i%c.k {
						t.Fatalf("seed %d: point %d is in cluster %d, want %d", seed, i, e, i%c.k)
					}
				}
			}
		})
	}
}

func TestKMeansIsAPartitionWithMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		k, seed := rapid.IntRange(1, 8).Draw(t, "k"), rapid.Uint64().Draw(t, "seed")
		clusters, err := KMeans(points, k, seed, rapid.IntRange(1, 4).Draw(t, "restarts"))
		if err != nil {
			t.Fatal(err)
		}
		checkClusters(t, points, clusters)
		different := slices.Clone(points)
		slices.SortFunc(different, slices.Compare)
		different = slices.CompactFunc(different, slices.Equal)
		if want := min(k, len(different)); len(clusters.Centroids) != want {
			t.Fatalf("%d clusters of %d points, %d of them different, with k=%d", len(clusters.Centroids), len(points), len(different), k)
		}
	})
}

// More restarts go on from where fewer ended, and keep the best.
func TestKMeansKeepsTheBestRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		k, seed := rapid.IntRange(1, 6).Draw(t, "k"), rapid.Uint64().Draw(t, "seed")
		last := math.Inf(1)
		for restarts := range 6 {
			clusters, err := KMeans(points, k, seed, restarts+1)
			if err != nil {
				t.Fatal(err)
			}
			if clusters.Inertia > last {
				t.Fatalf("%d restarts: inertia %v, with one fewer %v", restarts+1, clusters.Inertia, last)
			}
			last = clusters.Inertia
		}
	})
}

func TestInertiaNeverIncreases(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		k := distinct(points, rapid.IntRange(1, 8).Draw(t, "k"))
		source := rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)
		seeds := plusPlus(points, k, source)
		if rapid.Bool().Draw(t, "bad seeds") { // of which some get no points
			for c := range seeds {
				seeds[c] = widen(points[rapid.IntRange(0, len(points)-1).Draw(t, "seed point")])
			}
		}
		l := newLloyd(points, seeds)
		l.step()
		last := l.inertia()
		for range maxIterations {
			moved := l.step()
			for c, n := range l.members {
				if n == 0 {
					t.Fatalf("cluster %d of %d has no members", c, k)
				}
			}
			now := l.inertia()
			if now > last && !close2(now, last) {
				t.Fatalf("inertia rises from %v to %v", last, now)
			}
			if !moved {
				return
			}
			last = now
		}
		t.Fatalf("no end after %d steps", maxIterations)
	})
}

// Where no point moves any more, every one is as near to its own centroid as to any other.
func TestKMeansEndsWithTheNearestCentroids(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		clusters, err := KMeans(points, rapid.IntRange(1, 6).Draw(t, "k"), 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range points {
			own := squaredDistance(p, widen(clusters.Centroids[clusters.Of[i]]))
			for e, centroid := range clusters.Centroids {
				// Centroids are rounded to float32, by 6e-8 of their length.
				slack := 1e-6 * (squaredDistance(p, make([]float64, len(p))) + dot(centroid, centroid) + own)
				if other := squaredDistance(p, widen(centroid)); other < own-slack {
					t.Fatalf("point %d is %v from its centroid, %v from centroid %d", i, own, other, e)
				}
			}
		}
	})
}

func TestKMeansIsNotBetterThanTheBestPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		points = points[:min(len(points), 7)]
		k := rapid.IntRange(1, 3).Draw(t, "k")
		clusters, err := KMeans(points, k, 3, 64)
		if err != nil {
			t.Fatal(err)
		}
		if best := leastInertia(points, k); clusters.Inertia < best && !close2(clusters.Inertia, best) {
			t.Fatalf("inertia %v is below that of the best partition, %v", clusters.Inertia, best)
		}
	})
	// With so many restarts the best partition is found where points do not lie in a lattice.
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		points := make([][]float32, 7)
		for i := range points {
			points[i] = []float32{rng.Float32(), rng.Float32()}
		}
		clusters, err := KMeans(points, 3, seed, 200)
		if err != nil {
			t.Fatal(err)
		}
		if best := leastInertia(points, 3); !close2(clusters.Inertia, best) {
			t.Errorf("seed %d: inertia %v, that of the best partition is %v", seed, clusters.Inertia, best)
		}
	}
}

// leastInertia tries every way of putting points into at most k clusters.
func leastInertia(points [][]float32, k int) float64 {
	best := math.Inf(1)
	of := make([]int, len(points))
	for {
		sum := 0.0
		for c := range k {
			mean, n := make([]float64, len(points[0])), 0.0
			for i, p := range points {
				if of[i] == c {
					n++
					for j, v := range p {
						mean[j] += float64(v)
					}
				}
			}
			for j := range mean {
				mean[j] /= max(n, 1)
			}
			for i, p := range points {
				if of[i] == c {
					sum += squaredDistance(p, mean)
				}
			}
		}
		best = min(best, sum)
		at := 0
		for ; at < len(of); at++ {
			if of[at]++; of[at] < k {
				break
			}
			of[at] = 0
		}
		if at == len(of) {
			return best
		}
	}
}

// The order of the points changes nothing but the numbers of points and clusters, where groups are plain to see.
func TestKMeansOfPermutedPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 4).Draw(t, "k")
		points := blobs(rapid.IntRange(k, 24).Draw(t, "points"), k, 5, rapid.Uint64().Draw(t, "blobs"))
		order := rapid.Permutation(upTo(len(points))).Draw(t, "order")
		permuted := make([][]float32, len(points))
		for to, from := range order {
			permuted[to] = points[from]
		}
		a, err := KMeans(points, k, 1, Restarts)
		if err != nil {
			t.Fatal(err)
		}
		b, err := KMeans(permuted, k, 1, Restarts)
		if err != nil {
			t.Fatal(err)
		}
		for i := range order {
			for j := range order {
				if (b.Of[i] == b.Of[j]) != (a.Of[order[i]] == a.Of[order[j]]) {
					t.Fatalf("points %d and %d are together in one order alone", order[i], order[j])
				}
			}
		}
		if !close2(a.Inertia, b.Inertia) {
			t.Fatalf("inertia %v and %v", a.Inertia, b.Inertia)
		}
	})
}

// upTo returns 0 to n-1.
func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func TestKMeansIsDeterministic(t *testing.T) {
	points := make([][]float32, 60)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range points {
		points[i] = []float32{rng.Float32(), rng.Float32(), rng.Float32()}
	}
	results := map[string]bool{}
	for seed := range uint64(8) {
		a, errA := KMeans(points, 7, seed, 1)
		b, errB := KMeans(points, 7, seed, 1)
		if errA != nil || errB != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("seed %d: %v, %v and %v, %v", seed, a, errA, b, errB)
		}
		results[fmt.Sprint(a.Of)] = true
	}
	if len(results) < 2 {
		t.Error("all seeds give the same clusters of points without groups: the seed is not used")
	}
	// What seed 42 gives is the same on every machine.
	got, err := KMeans(points, 4, 42, Restarts)
	if err != nil {
		t.Fatal(err)
	}
	const want = "001010012101231102021012022122301201030031133101210302231010"
	if of := strings.Trim(strings.ReplaceAll(fmt.Sprint(got.Of), " ", ""), "[]"); of != want {
		t.Errorf("seed 42: clusters %s, want %s", of, want)
	}
}

// The seeds of k-means++ are distinct points, and far ones are likelier: of points at 0, 1 and 3, the second seed
// after 0 is 3 nine times out of ten.
func TestPlusPlus(t *testing.T) {
	points := [][]float32{{0}, {1}, {3}}
	after := map[[2]float64]int{}
	source := rand.NewPCG(1, 1)
	const draws = 30000
	for range draws {
		seeds := plusPlus(points, 3, source)
		if seeds[0][0] == seeds[1][0] || seeds[1][0] == seeds[2][0] || seeds[0][0] == seeds[2][0] {
			t.Fatalf("seeds are %v", seeds)
		}
		after[[2]float64{seeds[0][0], seeds[1][0]}]++
	}
	for pair, want := range map[[2]float64]float64{{0, 1}: .1, {0, 3}: .9, {1, 0}: .2, {1, 3}: .8, {3, 0}: 9. / 13, {3, 1}: 4. / 13} {
		if got := float64(after[pair]) / draws * 3; math.Abs(got-want) > .02 {
			t.Errorf("after %v, %v comes with a probability of %.3f, want %.3f", pair[0], pair[1], got, want)
		}
	}
}

// Two seeds in one place: one cluster is empty, and gets the farthest point of the others.
func TestEmptyClusterTakesTheFarthestPoint(t *testing.T) {
	points := [][]float32{{0}, {0}, {1}, {5}}
	l := newLloyd(points, [][]float64{{0}, {0}, {100}})
	l.step()
	if want := []int{0, 0, 2, 1}; !slices.Equal(l.of, want) {
		t.Errorf("clusters %v, want %v", l.of, want)
	}
	if fmt.Sprint(l.centroids) != "[[0] [5] [1]]" {
		t.Errorf("centroids %v", l.centroids)
	}
}

// Identity of one episode: the centroid is the mean of all segments, and every question goes there.
func TestOneEpisode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		clusters, err := KMeans(points, 1, rapid.Uint64().Draw(t, "seed"), 2)
		if err != nil {
			t.Fatal(err)
		}
		checkClusters(t, points, clusters)
		if len(clusters.Centroids) != 1 || slices.Max(clusters.Of) != 0 {
			t.Fatalf("clusters are %v", clusters)
		}
		query := rapid.SliceOfN(rapid.Float32Range(-1, 1), len(points[0]), len(points[0])).Draw(t, "query")
		for _, rule := range []Similarity{Cosine, DotProduct} {
			if e, _ := Route(query, clusters.Centroids, rule); e != 0 {
				t.Fatalf("rule %d routes to episode %d", rule, e)
			}
		}
		if got := Medoids(points, clusters, 0, 0); !slices.Equal(got, upTo(len(points))) {
			t.Fatalf("all medoids are %v", got)
		}
	})
}

func TestKMeansRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		points      [][]float32
		k, restarts int
		want        string
	}{
		{nil, 4, 1, "no points"},
		{[][]float32{{1}}, 0, 1, "0 clusters"},
		{[][]float32{{1}}, 1, 0, "0 restarts"},
		{[][]float32{{1, 2}, {1}}, 1, 1, "point 1 has 1 dimensions, point 0 has 2"},
		{[][]float32{{}}, 1, 1, "point 0 has 0 dimensions"},
		{[][]float32{{1, 2}, {3, 4}, {0, nan}}, 1, 1, "point 2 is NaN in dimension 1"},
		{[][]float32{{inf}}, 1, 1, "point 0 is -Inf in dimension 0"},
	} {
		if _, err := KMeans(c.points, c.k, 1, c.restarts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, k=%d: error %v, want %q", c.points, c.k, err, c.want)
		}
	}
	huge := [][]float32{{math.MaxFloat32}, {-math.MaxFloat32}, {math.SmallestNonzeroFloat32}, {0}}
	clusters, err := KMeans(huge, 4, 1, 2)
	if err != nil || len(clusters.Centroids) != 4 || clusters.Inertia != 0 {
		t.Errorf("extreme points: %v, %v", clusters, err)
	}
}

func BenchmarkKMeans(b *testing.B) {
	points := blobs(400, 4, 1024, 1)
	for b.Loop() {
		if _, err := KMeans(points, Episodes, 42, Restarts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(points)), "segments")
}

// label names a case by its numbers.
func label(numbers ...any) string { return strings.ReplaceAll(fmt.Sprint(numbers...), " ", "_") }
