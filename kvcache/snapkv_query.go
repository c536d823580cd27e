package kvcache

// snapKVQuery is SnapKV as it is often measured: the observation window is the end of the whole prompt, which is read
// after every block. So it knows the question, if there is one, while it reads what comes before: not a memory of a text
// but of an answer, labelled so (see Kind.Ahead). Without a prompt, in decoding, it looks at the last tokens. It has
// SnapKV's parameters.
var snapKVQuery = Kind{
	Name: "snapkv-query", Title: "rows that the end of the prompt attends to", Paper: "SnapKV, arXiv 2404.14469", Ahead: true,
	New: func(p *Params, _ int) Policy { return snapKVQueryPolicy{newSnapKV(p)} },
}

type snapKVQueryPolicy struct{ snapKVPolicy }

func (s snapKVQueryPolicy) Needs() Needs {
	return Needs{Past: true, Queries: AllQueries, Marks: 1, Recent: s.window}
}

func (s snapKVQueryPolicy) Observe(rows *Rows, q *Query, weights []float32) {
	if q.First() {
		clear(rows.Mark(0))
	}
	addWeights(rows.Mark(0), weights)
}

// Text leaves room for the window, but no more than for as much text.
func (s snapKVQueryPolicy) Text(block int) int { return max(block-s.window, (block+1)/2) }

func (s snapKVQueryPolicy) Probe(p *Probing) []int32 {
	text := p.Prompt
	if len(text) == 0 {
		text = p.Block
	}
	return last(text, min(s.window, p.Room))
}

// last is the last n tokens of a text, or all.
func last(text []int32, n int) []int32 { return text[max(0, len(text)-n):] }
