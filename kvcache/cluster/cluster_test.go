package cluster

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// grouped brings keys in groups, filled up with keys of NaN, which nothing may look at.
func grouped(keys [][]float32) []float32 {
	if len(keys) == 0 {
		return nil
	}
	const lanes = kernels.KeyGroup
	dim := len(keys[0])
	groups := make([]float32, kernels.WholeGroups(len(keys))*dim)
	for i := range groups {
		groups[i] = float32(math.NaN())
	}
	for r, key := range keys {
		for i, v := range key {
			groups[r/lanes*lanes*dim+i*lanes+r%lanes] = v
		}
	}
	return groups
}

func randoms(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// planted makes n keys in so many directions, one after the other, with noise of the given size to them, all of them around
// a point far from the origin.
func planted(rng *rand.Rand, n, dim, directions int, noise float32) [][]float32 {
	bias := randoms(rng, dim)
	to := make([][]float32, directions)
	for i := range to {
		to[i] = randoms(rng, dim)
	}
	keys := make([][]float32, n)
	for i := range keys {
		keys[i] = randoms(rng, dim)
		for d := range keys[i] {
			keys[i][d] = noise*keys[i][d] + 3*to[i*directions/n][d] + 5*bias[d]
		}
	}
	return keys
}

func cluster(t testing.TB, impl *kernels.Implementation, keys [][]float32, clusters int) *Clusters {
	t.Helper()
	c, err := NewScratch(new(kernels.Scratch)).KMeans(impl, grouped(keys), len(keys), len(keys[0]), clusters)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// naive is spherical k-means as it is described, in float64: the cluster of every key, numbered by the first centroids.
func naive(keys [][]float32, clusters int) []int {
	n, dim := len(keys), len(keys[0])
	mean, rows := make([]float64, dim), make([][]float64, n)
	for _, key := range keys {
		for i, v := range key {
			mean[i] += float64(v) / float64(n)
		}
	}
	for r, key := range keys {
		rows[r] = make([]float64, dim)
		for i, v := range key {
			rows[r][i] = float64(v) - mean[i]
		}
	}
	centroids := make([][]float64, clusters)
	for c := range centroids {
		centroids[c] = rows[int((float64(c)+.5)*float64(n)/float64(clusters))]
	}
	of := make([]int, n)
	for range 10 {
		sums := make([][]float64, clusters)
		for r, row := range rows {
			most := math.Inf(-1)
			for c, centroid := range centroids {
				var s float64
				for i, v := range row {
					s += v * centroid[i]
				}
				if s > most {
					of[r], most = c, s
				}
			}
			if sums[of[r]] == nil {
				sums[of[r]] = make([]float64, dim)
			}
			for i, v := range row {
				sums[of[r]][i] += v
			}
		}
		for c, sum := range sums {
			var squares float64
			for _, v := range sum {
				squares += v * v
			}
			if sum == nil || squares == 0 {
				continue
			}
			centroids[c] = sum
			for i := range sum {
				sum[i] /= math.Sqrt(squares)
			}
		}
	}
	return of
}

func TestKMeansIsSphericalKMeans(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, c := range []struct{ n, dim, clusters, directions int }{
			{1, 3, 1, 1}, {16, 8, 1, 1}, {17, 1, 2, 3}, {97, 24, 6, 4}, {200, 16, 17, 200}, {300, 33, 19, 10}, {50, 8, 50, 50},
		} {
			keys := planted(rand.New(rand.NewPCG(uint64(c.n), 2)), c.n, c.dim, c.directions, 1)
			want, number := naive(keys, c.clusters), map[int]int32{}
			for _, j := range slices.Sorted(slices.Values(want)) {
				if _, ok := number[j]; !ok {
					number[j] = int32(len(number))
				}
			}
			got := cluster(t, impl, keys, c.clusters)
			if got.Len() != len(number) {
				t.Fatalf("%s, %+v: %d clusters, want %d", impl.Name, c, got.Len(), len(number))
			}
			for r, j := range want {
				if got.Of[r] != number[j] {
					t.Fatalf("%s, %+v: row %d is in cluster %d, want %d", impl.Name, c, r, got.Of[r], number[j])
				}
			}
		}
	}
}

// What holds of all clusters: each row is in one of them, none is empty, rows ascend, a centroid is the mean of its keys,
// and all implementations and any former use of the scratch memory give the same.
func TestClustersPartitionTheRows(t *testing.T) {
	used := NewScratch(new(kernels.Scratch))
	rapid.Check(t, func(t *rapid.T) {
		n, dim := rapid.IntRange(1, 250).Draw(t, "n"), rapid.IntRange(1, 40).Draw(t, "dim")
		clusters := rapid.IntRange(1, n+3).Draw(t, "clusters")
		distinct := rapid.SampledFrom([]int{1, 2, 7, n}).Draw(t, "distinct")
		extreme := rapid.SampledFrom([]float32{0, 0, 0, 1e-38, 1e38, float32(math.Inf(1)), float32(math.NaN())}).Draw(t, "extreme")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		keys := make([][]float32, n)
		for i := range keys {
			if i < distinct {
				keys[i] = randoms(rng, dim)
			} else {
				keys[i] = keys[rng.IntN(distinct)]
			}
			if extreme != 0 && rng.IntN(10) == 0 {
				keys[i] = slices.Clone(keys[i])
				keys[i][rng.IntN(dim)] = extreme
			}
		}
		var first *Clusters
		for _, impl := range kernels.Implementations() {
			c, err := used.KMeans(impl, grouped(keys), n, dim, clusters)
			if err != nil {
				t.Fatal(err)
			}
			checkPartition(t, c, n)
			checkCentroids(t, c, keys, extreme == 0)
			again, err := NewScratch(new(kernels.Scratch)).KMeans(impl, grouped(keys), n, dim, clusters)
			if err != nil {
				t.Fatal(err)
			}
			if !same(c, again) {
				t.Fatalf("%s: other clusters in new memory", impl.Name)
			}
			if first == nil {
				first = again
			} else if extreme == 0 && !slices.Equal(first.Members, c.Members) {
				t.Fatalf("%s: other clusters than %s", impl.Name, kernels.Implementations()[0].Name)
			}
		}
	})
}

func checkPartition(t *rapid.T, c *Clusters, n int) {
	t.Helper()
	seen := make([]bool, n)
	for j := range c.Len() {
		rows := c.Rows(j)
		if len(rows) == 0 || len(rows) != c.Size(j) {
			t.Fatalf("cluster %d has %d members, its size is %d", j, len(rows), c.Size(j))
		}
		for i, r := range rows {
			if seen[r] || c.Of[r] != int32(j) || i > 0 && rows[i-1] >= r {
				t.Fatalf("cluster %d has members %v", j, rows)
			}
			seen[r] = true
		}
	}
	if slices.Contains(seen, false) || len(c.Of) != n {
		t.Fatalf("some of %d rows are in no cluster: %v", n, c.Members)
	}
}

func checkCentroids(t *rapid.T, c *Clusters, keys [][]float32, finite bool) {
	t.Helper()
	for j := range c.Len() {
		for i, got := range c.Centroid(j) {
			var want float64
			for _, r := range c.Rows(j) {
				want += float64(keys[r][i]) / float64(c.Size(j))
			}
			if finite && !(math.Abs(float64(got)-want) <= 4e-6) {
				t.Fatalf("value %d of the centroid of cluster %d is %v, want %v", i, j, got, want)
			}
		}
	}
}

func same(a, b *Clusters) bool {
	bits := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }
	return slices.Equal(a.Of, b.Of) && slices.Equal(a.Members, b.Members) && slices.Equal(a.First, b.First) &&
		slices.EqualFunc(a.Centroids, b.Centroids, bits)
}

// Where one of the first centroids is in each of the directions that keys were planted in, the clusters are these.
func TestPlantedClustersAreFound(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, clusters := range []int{1, 2, 5, 16, 64} {
			const of = 16
			n := of * clusters
			c := cluster(t, impl, planted(rand.New(rand.NewPCG(uint64(clusters), 3)), n, 64, clusters, .5), Count(n))
			if c.Len() != clusters {
				t.Fatalf("%s: %d clusters, want %d", impl.Name, c.Len(), clusters)
			}
			for r, j := range c.Of {
				if int(j) != r/of {
					t.Fatalf("%s, %d clusters: row %d is in cluster %d", impl.Name, clusters, r, j)
				}
			}
		}
	}
}

// Planted directions whose keys are scattered over the segment: with several clusters to a direction, almost all of them have
// keys of one direction.
func TestScatteredClustersArePure(t *testing.T) {
	const n, directions = 1024, 20
	rng := rand.New(rand.NewPCG(4, 4))
	keys := planted(rng, n, 64, directions, .5)
	order := rng.Perm(n)
	shuffled := make([][]float32, n)
	for i, r := range order {
		shuffled[i] = keys[r]
	}
	for _, impl := range kernels.Implementations() {
		c := cluster(t, impl, shuffled, Count(n))
		most := 0
		for j := range c.Len() {
			var count [directions]int
			for _, r := range c.Rows(j) {
				count[order[r]*directions/n]++
			}
			most += slices.Max(count[:])
		}
		if most < n*98/100 {
			t.Errorf("%s: %d of %d rows are with most of their cluster", impl.Name, most, n)
		}
	}
}

// Keys that do not differ are one cluster, the first, though there were centroids for more.
func TestTiesGoToTheFirst(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		keys := make([][]float32, 40)
		for i := range keys {
			keys[i] = []float32{1, -2, 4}
		}
		if c := cluster(t, impl, keys, 5); c.Len() != 1 || !slices.Equal(c.Centroid(0), keys[0]) {
			t.Errorf("%s: %+v, want one cluster of equal keys", impl.Name, c)
		}
	}
	for _, tt := range []struct {
		scores []float32
		want   int32
	}{
		{[]float32{1}, 0},
		{[]float32{1, 1, 1}, 0},
		{[]float32{0, 3, 1, 3, 2, 3}, 1},
		{[]float32{4, 3, 3}, 0},
		{[]float32{1, 2, 3}, 2},
		{[]float32{float32(math.Inf(-1)), float32(math.Inf(-1))}, 0},
	} {
		for guess := range tt.scores {
			if got := largest(tt.scores, int32(guess)); got != tt.want {
				t.Errorf("largest of %v, beginning with %d: %d, want %d", tt.scores, guess, got, tt.want)
			}
		}
	}
}

// VS_j is the sum of the values of cluster j, added page by page.
func TestSumValues(t *testing.T) {
	const n, page = 300, 128
	rng := rand.New(rand.NewPCG(5, 5))
	c := cluster(t, kernels.Implementations()[0], planted(rng, n, 16, 30, 1), Count(n))
	for _, impl := range kernels.Implementations() {
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			for _, dim := range []int{32, 64, 96, 40} {
				size, err := typ.RowBytes(dim)
				if err != nil {
					continue // 40 values are not blocks of Q8_0
				}
				stored, values := make([]byte, n*size), make([]float32, n*dim)
				if err := quant.Encode(typ, stored, randoms(rng, n*dim)); err != nil {
					t.Fatal(err)
				}
				if err := quant.Decode(typ, values, stored); err != nil {
					t.Fatal(err)
				}
				width := kernels.ValueWidth(dim)
				sums := make([]float32, c.Len()*width)
				for first := 0; first < n; first += page {
					if err := c.SumValues(impl, sums, stored[first*size:min(first+page, n)*size], typ, dim, first, new(kernels.Scratch)); err != nil {
						t.Fatal(err)
					}
				}
				for j := range c.Len() {
					for i := range dim {
						var want float64
						for _, r := range c.Rows(j) {
							want += float64(values[int(r)*dim+i])
						}
						if got := sums[j*width+i]; !(math.Abs(float64(got)-want) <= 1e-5) {
							t.Fatalf("%s, %s, %d: value %d of sum %d is %v, want %v", impl.Name, typ, dim, i, j, got, want)
						}
					}
				}
			}
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 16: 1, 23: 1, 24: 2, 1024: 64, 8192: 512} {
		if got := Count(n); got != want {
			t.Errorf("%d rows: %d clusters, want %d", n, got, want)
		}
	}
}

func TestKMeansOfNothing(t *testing.T) {
	s := NewScratch(new(kernels.Scratch))
	for _, n := range []int{0, 20, 0} {
		c, err := s.KMeans(kernels.Implementations()[0], make([]float32, 32*4), n, 4, 3)
		if err != nil || c.Len() != min(n, 1) || len(c.Of) != n {
			t.Fatalf("%d rows: %+v, %v", n, c, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	impl := kernels.Implementations()[0]
	for _, tt := range []struct {
		n, dim, clusters, values int
		want                     string
	}{
		{-1, 4, 1, 64, "-1 keys"},
		{16, 0, 1, 64, "16 keys of 0 values"},
		{16, 4, 0, 64, "in 0 clusters"},
		{16, 4, 1, 63, "63 values are too few"},
		{17, 4, 1, 68, "68 values are too few"},
	} {
		if _, err := NewScratch(new(kernels.Scratch)).KMeans(impl, make([]float32, tt.values), tt.n, tt.dim, tt.clusters); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v", tt, err)
		}
	}
	c := cluster(t, impl, planted(rand.New(rand.NewPCG(6, 6)), 40, 8, 3, 1), 3)
	for _, tt := range []struct {
		bytes, dim, first, sums int
		typ                     quant.Type
		want                    string
	}{
		{64, 0, 0, 100, quant.F32, "64 bytes are not whole rows"},
		{65, 16, 0, 100, quant.F32, "65 bytes are not whole rows"},
		{64, 16, 40, 100, quant.F32, "values of 1 rows from row 40 on"},
		{64, 16, -1, 100, quant.F32, "from row -1 on"},
		{64, 16, 0, 47, quant.F32, "room for 47 values, but the sums of 3 clusters take 48"},
		{64, 16, 0, 100, quant.Q8_0, "values of 16"},
	} {
		if err := c.SumValues(impl, make([]float32, tt.sums), make([]byte, tt.bytes), tt.typ, tt.dim, tt.first, new(kernels.Scratch)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v", tt, err)
		}
	}
}

// A scratch that has seen a segment takes no memory for another one.
func TestKMeansAllocatesNothing(t *testing.T) {
	keys := grouped(planted(rand.New(rand.NewPCG(7, 7)), 500, 32, 20, 1))
	for _, impl := range kernels.Implementations() {
		s := NewScratch(new(kernels.Scratch))
		if got := testing.AllocsPerRun(5, func() {
			if _, err := s.KMeans(impl, keys, 500, 32, 31); err != nil {
				t.Fatal(err)
			}
		}); got > 0 {
			t.Errorf("%s: %v allocations", impl.Name, got)
		}
	}
}
