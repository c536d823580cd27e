package episodic

import (
	"cmp"
	"slices"
)

// RepresentativeSegments is how many medoids the authors' scripts put into an episode's scoring prompt. The paper
// defines one.
const RepresentativeSegments = 8

// Medoids returns the points that represent cluster e: the n members whose cosine with the centroid is highest, all
// of them for n ≤ 0, in the order of the points, which is that of the conversation (EpiCache, arXiv 2509.17396,
// medoid segments: the paper has n = 1). It returns none for a cluster that there is not, and looks at no point that
// is not as long as the centroid.
func Medoids(points [][]float32, clusters Clusters, e, n int) []int {
	if e < 0 || e >= len(clusters.Centroids) {
		return nil
	}
	type member struct {
		point  int
		cosine float64
	}
	var members []member
	centroid := clusters.Centroids[e]
	for i, p := range points[:min(len(points), len(clusters.Of))] {
		if clusters.Of[i] == e && len(p) == len(centroid) {
			members = append(members, member{i, cosine(p, centroid)})
		}
	}
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(b.cosine, a.cosine) })
	if n > 0 && n < len(members) {
		members = members[:n]
	}
	medoids := make([]int, len(members))
	for i, m := range members {
		medoids[i] = m.point
	}
	slices.Sort(medoids)
	return medoids
}
