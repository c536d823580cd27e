package episodic

// Similarity is how a question's embedding is compared with centroids.
type Similarity int

const (
	// Cosine is the paper's.
	Cosine Similarity = iota
	// DotProduct is that of the authors' code. A centroid is the mean of vectors of length 1 and shorter the more
	// they differ, so that this prefers tight clusters.
	DotProduct
)

// Route returns the episode for a question: the index of the centroid that is most similar to its embedding
// (EpiCache, arXiv 2509.17396, query matching), and how similar it is. Centroids that are not as long as the query,
// or give NaN, are passed over; if none is left, episode is -1.
func Route(query []float32, centroids [][]float32, rule Similarity) (episode int, similarity float64) {
	episode = -1
	for e, centroid := range centroids {
		if len(centroid) != len(query) {
			continue
		}
		var s float64
		if rule == DotProduct {
			s = dot(query, centroid)
		} else {
			s = cosine(query, centroid)
		}
		if s == s && (episode < 0 || s > similarity) {
			episode, similarity = e, s
		}
	}
	return episode, similarity
}
