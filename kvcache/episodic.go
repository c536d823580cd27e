package kvcache

// episodic keeps the rows that a text about an episode of the conversation attends to most: the patched prompt of EpiCache
// (Kim et al. 2025, arXiv 2509.17396, block prefill and equation 3), which is read after every block and taken out again.
//
//	s_i = max over the prompt's queries and the heads of the group of their attention to row i
//
// where attention is normalized over the rows before the prompt. Every row is scored anew each time. The heads of a layer
// share its budget. Without an episode, a general instruction stands in for its prompt.
var episodicKind = Kind{
	Name: Episodic, Title: "rows that an episode's prompt attends to", Paper: "EpiCache, arXiv 2509.17396",
	New: func(*Params, int) Policy { return episodicPolicy{} },
}

type episodicPolicy struct{ maxima }

func (p episodicPolicy) Needs() Needs {
	n := p.maxima.Needs()
	n.Pooled = true
	return n
}

// Text leaves half of a block for the prompt.
func (episodicPolicy) Text(block int) int { return max(1, block-block/2) }

// generalPrompt stands in for an episode's.
const generalPrompt = "\nWhat matters most in this text: who speaks, what happened and when, what was promised, liked and decided?\n"

func (episodicPolicy) Probe(p *Probing) []int32 {
	tokens := p.Episode
	if len(tokens) == 0 && p.Encode != nil {
		tokens = p.Encode(generalPrompt)
	}
	if len(tokens) == 0 {
		tokens = p.Block
	}
	return last(tokens, p.Room)
}
