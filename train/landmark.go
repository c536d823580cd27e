package train

import (
	"fmt"
	"math"
)

// Landmark says that a model reads its texts with the token of a landmark after each block, so many ordinary tokens, and
// attends by the grouped softmax (Mohtashami and Jaggi 2023, sections 3.1 and 3.2). Documents are without; rows of landmarks
// count as positions, and have no part in the loss. The zero Landmark is none.
type Landmark struct{ Block, Token int }

// row is where a token of a document is among the rows of its text, and for the number of tokens the number of rows.
func (l Landmark) row(token int) int {
	if l.Block == 0 {
		return token
	}
	return token + token/l.Block
}

func (s *Shape) checkLandmark() error {
	l := s.Landmark
	if l == (Landmark{}) {
		for i := range s.Layers {
			if s.sight(i).Landmark > 0 {
				return fmt.Errorf("train: layer %d attends to landmarks, and texts have none", i)
			}
		}
		return nil
	}
	if l.Block < 1 || l.Token < 0 || l.Token >= s.Vocabulary {
		return fmt.Errorf("train: blocks of %d tokens with landmark %d in a vocabulary of %d", l.Block, l.Token, s.Vocabulary)
	}
	if s.Sight != (Sight{}) || len(s.Sights) > 0 {
		return fmt.Errorf("train: landmark attention in all layers, and sights besides")
	}
	return nil
}

// grouped makes the scores of query i for all rows of the text its weights by the grouped softmax (equations 1 to 4 there): a
// softmax over the ordinary rows of the query's own block and the landmarks of the blocks before it, and each landmark's
// share goes on to the rows of its block by a softmax over these. The landmark of its own block no query sees, not even that
// landmark's.
//
// Differences from the largest score of each softmax are taken first, with those of the outer one in the places of the
// landmarks, so that all exponentials of a row are worked out at once.
func (a *attention) grouped(row []float32, i int) {
	size := a.s.Landmark + 1
	own := i - i%size
	end := min(i+1, own+size-1)
	most := largestOf(row[own:end])
	for at := 0; at < own; at += size {
		block := row[at : at+size-1]
		minus(block, largestOf(block))
		most = max(most, row[at+size-1])
	}
	for at := 0; at < own; at += size {
		row[at+size-1] -= most
	}
	minus(row[own:end], most)
	hide(row[end:])
	a.c.Impl.Softmax(row, 1, 0)
	sum := total(row[own:end])
	for at := 0; at < own; at += size {
		sum += row[at+size-1]
	}
	for at := 0; at < own; at += size {
		block := row[at : at+size-1]
		times(block, row[at+size-1]/(sum*total(block)))
		row[at+size-1] = 0
	}
	times(row[own:end], 1/sum)
}

// groupedToScores makes d, the gradient with respect to the weights p of query i, the one with respect to its scores. What
// a landmark got is the sum of its block's weights, and stays in its place in p.
//
// A softmax with results s passes on s∘(e − Σ s∘e) of their gradient e. In the outer one s·e of a landmark is Σ p∘d over its
// block. In the inner one p is s times what the landmark got, and e is d times that, which cancels except in the mean of d.
func (a *attention) groupedToScores(p, d []float32, i int, scale float32) {
	impl, size := a.c.Impl, a.s.Landmark+1
	own := i - i%size
	end := min(i+1, own+size-1)
	mean := impl.Dot(p[own:end], d[own:end])
	for at := 0; at < own; at += size {
		last := at + size - 1
		gate, inner := total(p[at:last]), impl.Dot(p[at:last], d[at:last])
		mean += inner
		p[last], d[last] = gate, inner
		if gate > 0 { // or all of the block's weights are 0, and their gradients with them
			inner /= gate
		}
		toScores(p[at:last], d[at:last], inner, scale)
	}
	for last := size - 1; last < own; last += size {
		d[last] = scale * (d[last] - p[last]*mean)
	}
	toScores(p[own:end], d[own:end], mean, scale)
	clear(d[end:])
}

// largestOf looks for four at a time, without a branch that waits for a comparison.
func largestOf(x []float32) float32 {
	a := float32(math.Inf(-1))
	b, c, d := a, a, a
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = max(a, x[0]), max(b, x[1]), max(c, x[2]), max(d, x[3])
	}
	for _, v := range x {
		a = max(a, v)
	}
	return max(a, b, c, d)
}

func minus(x []float32, by float32) {
	for j := range x {
		x[j] -= by
	}
}

func times(x []float32, by float32) {
	for j := range x {
		x[j] *= by
	}
}

// total adds up in four sums, none of which waits for another.
func total(x []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 4; x = x[4:] {
		a += x[0]
		b += x[1]
		c += x[2]
		d += x[3]
	}
	for _, v := range x {
		a += v
	}
	return (a + b) + (c + d)
}
