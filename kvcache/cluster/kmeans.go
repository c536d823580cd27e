package cluster

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Scratch is memory that one thread reuses from call to call.
type Scratch struct {
	kernels *kernels.Scratch

	rows      []float32 // [rows, dim]: the keys less their mean
	mean      []float32 // [dim]
	centroids []float32 // [clusters, dim]: those that rows are assigned to
	sums      []float32 // [clusters, dim]: of the rows of each cluster
	groups    []byte    // the centroids in groups of keys, see kernels.KeyGroup
	scores    []float32 // [tileRows, clusters in whole groups]
	sizes     []int32   // [clusters]: of each; later where its next member goes
	number    []int32   // [clusters]: among those that are not empty
	result    Clusters
}

// NewScratch makes scratch memory that shares a thread's kernel scratch.
func NewScratch(k *kernels.Scratch) *Scratch { return &Scratch{kernels: k} }

// tileRows is the number of rows that meet all centroids together: a multiple of the six that kernels take at once, few
// enough that their scores with some hundred centroids stay in a second-level cache until the best is found.
const tileRows = 96

// KMeans puts n keys, as float32 in groups, [n/KeyGroup][dim][KeyGroup], into at most so many clusters by spherical k-means,
// as the authors of RetroInfer do. The mean of all keys, which is large where a model's keys have a bias, is taken off first,
// for only what is left says which keys differ. The first centroids are keys at even distances. In each iteration a row
// goes to the centroid that it has the largest inner product with, of equal ones to the first, and a centroid becomes the
// mean of its rows, made a unit vector. After the last iteration the mean stays as it is, and that of all keys is added.
//
// A cluster that no row goes to keeps its centroid, and may have rows again later; so does one whose mean is 0 or not
// finite. Those that are empty in the end are left out. The result lies in the scratch memory until the next call. It is the
// same, bit for bit, whatever the scratch was used for.
//
// It is an error if there is no room in keys for n keys, or if dim or clusters is less than 1.
func (s *Scratch) KMeans(impl *kernels.Implementation, keys []float32, n, dim, clusters int) (*Clusters, error) {
	switch {
	case n < 0 || n > math.MaxInt32 || dim < 1 || clusters < 1:
		return nil, fmt.Errorf("cluster: %d keys of %d values in %d clusters", n, dim, clusters)
	case len(keys)/dim/kernels.KeyGroup*kernels.KeyGroup < n:
		return nil, fmt.Errorf("cluster: %d values are too few for %d keys of %d in whole groups", len(keys), n, dim)
	}
	clusters = min(clusters, n)
	s.room(n, dim, clusters)
	if n == 0 {
		return &s.result, nil
	}
	s.load(impl, keys, n, dim)
	for i := range clusters {
		row := int((2*int64(i) + 1) * int64(n) / (2 * int64(clusters)))
		copy(s.centroids[i*dim:(i+1)*dim], s.rows[row*dim:])
	}
	for i := range Iterations {
		if moved := s.assign(impl, dim); !moved && i > 0 {
			break // the centroids would stay as they are, and so would the rows in all iterations that are left
		}
		s.update(impl, dim)
	}
	s.collect()
	return &s.result, nil
}

// room makes room for a segment.
func (s *Scratch) room(n, dim, clusters int) {
	padded := kernels.WholeGroups(clusters)
	kernels.Grow(&s.rows, n*dim)
	kernels.Grow(&s.mean, dim)
	kernels.Grow(&s.centroids, clusters*dim)
	kernels.Grow(&s.sums, clusters*dim)
	kernels.Grow(&s.groups, 4*padded*dim)
	kernels.Grow(&s.scores, min(tileRows, n)*padded)
	kernels.Grow(&s.sizes, clusters)
	kernels.Grow(&s.number, clusters)
	r := &s.result
	r.Dim = dim
	kernels.Grow(&r.Of, n)
	kernels.Grow(&r.Members, n)
	kernels.Grow(&r.First, 0)
	kernels.Grow(&r.Centroids, 0)
}

// load makes rows of the keys and takes their mean off.
func (s *Scratch) load(impl *kernels.Implementation, keys []float32, n, dim int) {
	const lanes = kernels.KeyGroup
	for first := 0; first < n; first += lanes {
		rows, group := s.rows[first*dim:min(first+lanes, n)*dim], keys[first*dim:(first+lanes)*dim]
		for lane := 0; lane*dim < len(rows); lane++ {
			row := rows[lane*dim : (lane+1)*dim]
			for i := range row {
				row[i] = group[i*lanes+lane]
			}
		}
	}
	clear(s.mean)
	for i := range n {
		impl.Axpy(1, s.rows[i*dim:(i+1)*dim], s.mean)
	}
	for i := range s.mean {
		s.mean[i] /= float32(n)
	}
	for i := range n {
		impl.Axpy(-1, s.mean, s.rows[i*dim:(i+1)*dim])
	}
	clear(s.result.Of)
}

// assign gives every row to the centroid with the largest inner product, and reports whether that is another one for any.
func (s *Scratch) assign(impl *kernels.Implementation, dim int) bool {
	clusters, of := len(s.sizes), s.result.Of
	padded := kernels.WholeGroups(clusters)
	s.interleave(dim)
	moved := false
	for first := 0; first < len(of); first += tileRows {
		some := of[first:min(first+tileRows, len(of))]
		impl.Scores(s.scores, padded, s.rows[first*dim:(first+len(some))*dim], dim, s.groups, quant.F32, padded, nil, s.kernels)
		for i, had := range some {
			some[i] = largest(s.scores[i*padded:i*padded+clusters], had)
			moved = moved || some[i] != had
		}
	}
	return moved
}

// interleave brings the centroids in the order that keys are cached in.
func (s *Scratch) interleave(dim int) {
	const lanes = kernels.KeyGroup
	for c := range s.sizes {
		to := s.groups[4*(c/lanes*lanes*dim+c%lanes):]
		for i, v := range s.centroids[c*dim : (c+1)*dim] {
			binary.LittleEndian.PutUint32(to[4*lanes*i:], math.Float32bits(v))
		}
	}
}

// largest returns the number of the largest score, of equal ones the first. It begins with a guess: where that is right, as for
// most rows after the first iterations, all scores but it are passed over.
func largest(scores []float32, guess int32) int32 {
	at, most := int(guess), scores[guess]
	for i, v := range scores[:at] {
		if v >= most {
			at, most = i, v
			break
		}
	}
	for i := at + 1; i < len(scores); i++ {
		if v := scores[i]; v > most {
			at, most = i, v
		}
	}
	return int32(at)
}

// update makes each centroid the mean of its cluster's rows, as a unit vector.
func (s *Scratch) update(impl *kernels.Implementation, dim int) {
	s.sum(impl, dim)
	for c := range s.sizes {
		sum := s.sums[c*dim : (c+1)*dim]
		var squares float64
		for _, v := range sum {
			squares += float64(v) * float64(v)
		}
		if by := 1 / math.Sqrt(squares); squares > 0 && by > 0 {
			for i, v := range sum {
				s.centroids[c*dim+i] = float32(float64(v) * by)
			}
		}
	}
}

// sum adds up the rows of each cluster, in their order.
func (s *Scratch) sum(impl *kernels.Implementation, dim int) {
	clear(s.sums)
	clear(s.sizes)
	for i, c := range s.result.Of {
		impl.Axpy(1, s.rows[i*dim:(i+1)*dim], s.sums[int(c)*dim:int(c+1)*dim])
		s.sizes[c]++
	}
}

// collect makes the result of the clusters that are not empty.
func (s *Scratch) collect() {
	r := &s.result
	r.First = append(r.First[:0], 0)
	for c, size := range s.sizes {
		if size == 0 {
			continue
		}
		s.number[c] = int32(r.Len())
		s.sizes[c] = r.First[r.Len()]
		r.First = append(r.First, s.sizes[c]+size)
		for i, v := range s.sums[c*r.Dim : (c+1)*r.Dim] {
			r.Centroids = append(r.Centroids, v/float32(size)+s.mean[i])
		}
	}
	for i, c := range r.Of {
		r.Members[s.sizes[c]] = int32(i)
		s.sizes[c]++
		r.Of[i] = s.number[c]
	}
}
