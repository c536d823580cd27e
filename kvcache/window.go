package kvcache

// window keeps the first rows and the most recent ones: attention sinks and a sliding window (Xiao et al. 2023, Efficient
// Streaming Language Models with Attention Sinks, section 3.2). Positions are those within the cache.
var window = Kind{
	Name: "window", Title: "the first rows and the most recent ones", Paper: "StreamingLLM, arXiv 2309.17453",
	New: func(*Params, int) Policy { return windowPolicy{} },
}

type windowPolicy struct{}

func (windowPolicy) Needs() Needs { return Needs{Packed: true} }

func (windowPolicy) Observe(*Rows, *Query, []float32) {}

// Score makes later rows better.
func (windowPolicy) Score(l *Layer) {
	for _, scores := range l.Scores {
		for i := range scores {
			scores[i] = float32(i)
		}
	}
}
