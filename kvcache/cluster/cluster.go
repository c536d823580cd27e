// Package cluster groups cached keys by direction, so that a query can tell from a few centroids which keys matter to it:
// the wave index of RetroInfer (Chen et al., arXiv 2505.02922). A segment of a text is clustered by itself (Scratch.KMeans),
// for each KV head; what a query leaves out of it is estimated by the centroids and the sums of the values (Clusters.SumValues).
package cluster

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

const (
	// Size is the number of rows that a cluster has on average, in the paper and in the authors' code.
	Size = 16
	// Iterations is how often rows are assigned to centroids and these worked out anew.
	Iterations = 10
)

// Count is the number of clusters that n rows are put into: as many as give them Size rows on average, at least one.
func Count(n int) int { return max(1, (n+Size/2)/Size) }

// Clusters are the rows of a segment in groups, none of them empty.
type Clusters struct {
	Dim       int
	Of        []int32   // [rows]: the cluster of each
	Members   []int32   // [rows]: cluster after cluster, the numbers of its rows, which ascend
	First     []int32   // [clusters+1]: where the members of each begin, and where the last ones end
	Centroids []float32 // [clusters, Dim]: the mean of the members' keys
}

// Len is the number of clusters.
func (c *Clusters) Len() int { return max(len(c.First)-1, 0) }

// Rows returns the members of cluster j.
func (c *Clusters) Rows(j int) []int32 { return c.Members[c.First[j]:c.First[j+1]] }

// Size is the number of members of cluster j.
func (c *Clusters) Size(j int) int { return int(c.First[j+1] - c.First[j]) }

// Centroid is the mean of the keys of cluster j.
func (c *Clusters) Centroid(j int) []float32 { return c.Centroids[j*c.Dim : (j+1)*c.Dim] }

// SumValues adds values of the segment's rows, from row first on, stored one after the other as rows of type t, to the sums
// of their clusters: cluster j's, VS_j in the paper, is sums[j·ValueWidth(dim)] and the dim-1 after it. What is between sums
// is undefined. Pages of values can be added one by one, in the order of the rows.
func (c *Clusters) SumValues(impl *kernels.Implementation, sums []float32, values []byte, t quant.Type, dim, first int, s *kernels.Scratch) error {
	size, err := t.RowBytes(dim)
	if err != nil {
		return fmt.Errorf("cluster: values of %d: %w", dim, err)
	}
	width := kernels.ValueWidth(dim)
	switch n := len(values) / max(size, 1); {
	case dim < 1 || len(values)%size != 0:
		return fmt.Errorf("cluster: %d bytes are not whole rows of %d values of type %s", len(values), dim, t)
	case first < 0 || first > len(c.Of)-n:
		return fmt.Errorf("cluster: values of %d rows from row %d on, but the clusters have %d rows", n, first, len(c.Of))
	case len(sums) < c.Len()*width:
		return fmt.Errorf("cluster: room for %d values, but the sums of %d clusters take %d", len(sums), c.Len(), c.Len()*width)
	}
	one := []float32{1}
	for _, j := range c.Of[first : first+len(values)/size] {
		impl.AddValues(sums[int(j)*width:int(j+1)*width], one, 1, dim, values[:size], t, 1, s)
		values = values[size:]
	}
	return nil
}
