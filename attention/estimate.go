package attention

import (
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Estimation is what queries that meet a view together see of clusters of rows without looking at the rows: the estimation
// zone of RetroInfer (Chen et al., arXiv 2505.02922). All queries see all rows of the clusters.
type Estimation struct {
	// Clusters has a row for each cluster, in whole pages but for the last one. Its key is the centroid C, the mean of the keys
	// of the cluster's rows, and its value the mean of their values, which is VS/s in the paper's terms.
	Clusters *kvcache.View
	Sizes    []int32 // [clusters]: s, how many rows each cluster has, at least one
	// Scores are q·C, as they are before Scale and Softcap: of query h with cluster j at h·Stride + j. Queries count as in a
	// Partial, row by row and head by head.
	Scores []float32
	Stride int
	Chosen []int32 // the numbers of the clusters to estimate, ascending
}

// Estimate adds the estimated attention to the rows of some clusters: a cluster counts as s rows with its centroid for a key,
// that is as one with a score of q·C + ln s, and the mean of its values. By Jensen's inequality its weight is at most that
// of its rows, and equal if their keys are; with a softcap, which is no convex function, it may be more.
//
// The result for a query does not depend on the queries beside it.
func (t *Partial) Estimate(impl *kernels.Implementation, e *Estimation, p *Params, s *Scratch) {
	// As many clusters at a time as rows in attention to a span.
	for first := 0; first < len(e.Chosen); first += kvcache.PageRows {
		s.estimate.run(impl, e, e.Chosen[first:min(first+kvcache.PageRows, len(e.Chosen))], p, t, s)
	}
}

// estimate is memory for some clusters that are estimated together.
type estimate struct {
	weights []float32 // [queries, clusters in whole groups]
	logs    []float32 // [clusters]: ln s
	values  []byte    // [clusters, value bytes]
}

func (m *estimate) run(impl *kernels.Implementation, e *Estimation, chosen []int32, p *Params, to *Partial, s *Scratch) {
	m.gather(impl, e, chosen)
	n := kernels.WholeGroups(len(chosen))
	weights := kernels.Grow(&m.weights, len(to.sum)*n)
	for h := range to.sum {
		w := weights[h*n : (h+1)*n]
		m.score(impl, w[:len(chosen)], e.Scores[h*e.Stride:], chosen, p)
		s.weigh(impl, w, 0, len(chosen), &Params{Scale: 1}, *to, h)
	}
	impl.AddValues(to.out, weights, n, e.Clusters.ValueDim, m.values, e.Clusters.Type, len(chosen), s.kernels)
}

// gather copies the values of clusters side by side and looks up the logarithms of their sizes.
func (m *estimate) gather(impl *kernels.Implementation, e *Estimation, chosen []int32) {
	m.logs, m.values = m.logs[:0], m.values[:0]
	for _, j := range chosen {
		impl.Fetch(e.value(int(j))) // they lie far from each other: all are on their way at once
		m.logs = append(m.logs, logarithm(e.Sizes[j]))
	}
	for _, j := range chosen {
		m.values = append(m.values, e.value(int(j))...)
	}
}

// value is that of a cluster, as it is stored.
func (e *Estimation) value(j int) []byte {
	size := e.Clusters.ValueBytes
	return e.Clusters.Spans[j/kvcache.PageRows].Values[j%kvcache.PageRows*size:][:size]
}

// score makes w the scores of clusters as if they were rows.
func (m *estimate) score(impl *kernels.Implementation, w, scores []float32, chosen []int32, p *Params) {
	for i, j := range chosen {
		w[i] = p.Scale * scores[j]
	}
	if p.Softcap > 0 {
		impl.Softcap(w, p.Softcap)
	}
	for i, v := range m.logs {
		w[i] += v
	}
}

// logarithms are those of the sizes that most clusters have.
var logarithms = func() (logs [256]float32) {
	for i := range logs {
		logs[i] = float32(math.Log(float64(i)))
	}
	return logs
}()

func logarithm(size int32) float32 {
	if size >= 0 && int(size) < len(logarithms) {
		return logarithms[size]
	}
	return float32(math.Log(float64(size)))
}
