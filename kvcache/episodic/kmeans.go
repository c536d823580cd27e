package episodic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// Episodes is the number of clusters that EpiCache uses, E (arXiv 2509.17396; 2, 6 and 8 were tried besides).
	Episodes = 4
	// Restarts is how often the authors' code runs k-means from new seeds to keep the best result.
	Restarts = 10

	maxIterations = 300 // of Lloyd's algorithm; those seen converge in some ten
)

// Clusters are points in groups, numbered by their first members: point 0 is in cluster 0.
type Clusters struct {
	Centroids [][]float32 // [clusters, dim]: the mean of the members, whose length is not made 1
	Of        []int       // [points]: the cluster of each
	Inertia   float64     // sum of squared distances between points and the mean of their cluster
}

// KMeans puts points, [n, dim], into k clusters by k-means, as EpiCache clusters the embeddings of segments (arXiv
// 2509.17396, conversation clustering): Lloyd's iterations from the seeds of k-means++ (Arthur & Vassilvitskii 2007),
// until no point changes its cluster, and of so many restarts the one with the least inertia. A seed gives the same
// clusters everywhere.
//
// No cluster is empty. Where there are fewer distinct points than k, there are as many clusters as those. It is an
// error if there is no point, k or restarts is less than 1, points differ in length, or an element is not finite.
func KMeans(points [][]float32, k int, seed uint64, restarts int) (Clusters, error) {
	switch {
	case len(points) == 0:
		return Clusters{}, fmt.Errorf("episodic: k-means of no points")
	case k < 1:
		return Clusters{}, fmt.Errorf("episodic: k-means with %d clusters: want at least 1", k)
	case restarts < 1:
		return Clusters{}, fmt.Errorf("episodic: k-means with %d restarts: want at least 1", restarts)
	}
	for i, p := range points {
		if len(p) != len(points[0]) || len(p) == 0 {
			return Clusters{}, fmt.Errorf("episodic: k-means: point %d has %d dimensions, point 0 has %d", i, len(p), len(points[0]))
		}
		if j := notFinite(p); j >= 0 {
			return Clusters{}, fmt.Errorf("episodic: k-means: point %d is %v in dimension %d", i, p[j], j)
		}
	}
	k = distinct(points, k)
	source := rand.NewPCG(seed, 0)
	var best *lloyd
	least := math.Inf(1)
	for range restarts {
		l := newLloyd(points, plusPlus(points, k, source))
		for range maxIterations {
			if !l.step() {
				break
			}
		}
		if inertia := l.inertia(); best == nil || inertia < least {
			best, least = l, inertia
		}
	}
	return best.clusters(), nil
}

// distinct counts points that differ, up to limit.
func distinct(points [][]float32, limit int) int {
	var found [][]float32
	for _, p := range points {
		if len(found) == limit {
			break
		}
		if !slices.ContainsFunc(found, func(q []float32) bool { return slices.Equal(p, q) }) {
			found = append(found, p)
		}
	}
	return len(found)
}

// plusPlus returns k points as seeds, of which there must be as many that differ: the first drawn evenly, each other
// with a probability in proportion to its squared distance from the nearest one before it (Arthur & Vassilvitskii
// 2007, section 2.2).
func plusPlus(points [][]float32, k int, source rand.Source) [][]float64 {
	seeds := make([][]float64, 0, k)
	nearest := make([]float64, len(points))
	for i := range nearest {
		nearest[i] = 1 // even odds
	}
	for len(seeds) < k {
		seed := widen(points[draw(nearest, source)])
		for i, p := range points {
			d := squaredDistance(p, seed)
			if len(seeds) > 0 {
				d = min(d, nearest[i])
			}
			nearest[i] = d
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// draw returns an index with a probability in proportion to its weight. Weights are not negative, and one is
// positive.
func draw(weights []float64, source rand.Source) int {
	var total float64
	for _, w := range weights {
		total += w
	}
	mark := total * (float64(source.Uint64()>>11) / (1 << 53))
	last := 0
	var sum float64
	for i, w := range weights {
		if w == 0 {
			continue
		}
		last = i
		if sum += w; sum > mark {
			break
		}
	}
	return last
}

// widen returns a vector in float64.
func widen(x []float32) []float64 {
	wide := make([]float64, len(x))
	for i, v := range x {
		wide[i] = float64(v)
	}
	return wide
}

// squaredDistance returns the square of the distance between two vectors of one length.
func squaredDistance(p []float32, centroid []float64) float64 {
	centroid = centroid[:len(p)]
	var sum float64
	for i, v := range p {
		d := float64(v) - centroid[i]
		sum += float64(d * d) // rounded before it is added, as on machines that would fuse the two
	}
	return sum
}
