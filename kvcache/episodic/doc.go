// Package episodic is the arithmetic of EpiCache (Kim et al., arXiv 2509.17396) that needs no model: a conversation
// is cut into segments (Segments), their embeddings are clustered into episodes (KMeans) with representatives
// (Medoids), a question goes to the nearest episode (Route), and the rows that a cache may hold are shared out among
// the layers (Allocate) by how much each suffers when the text is read in blocks (Sensitivity, BlockMask, Profile).
//
// Where the paper and the code that its authors released differ, both are here and named. Sums are taken in float64,
// in the order of the indices, so that the same input gives the same result on every machine; of equals the lower
// index wins.
package episodic
