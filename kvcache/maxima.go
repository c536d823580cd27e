package kvcache

// maxima is the observation of policies that score rows by a text that is read for the purpose: a row's mark is the most
// attention that any of its queries, of any head that shares the KV head, pays to it among the rows of the past.
type maxima struct{}

func (maxima) Needs() Needs { return Needs{Past: true, Queries: AllQueries, Marks: 1} }

func (maxima) Observe(rows *Rows, q *Query, weights []float32) {
	most := rows.Mark(0)
	if q.First() {
		clear(most)
	}
	raiseTo(most, weights)
}

// Score takes the marks. They begin anew: a text says nothing about rows that it did not see.
func (maxima) Score(l *Layer) { takeMarks(l) }
