package attention

import (
	"math"

	"github.com/mneme-lm/mneme/internal/params"
	"github.com/mneme-lm/mneme/kvcache"
)

// Landmarks is attention by landmark tokens: every block of tokens is closed by one, whose key a query asks whether to open
// the block (Mohtashami and Jaggi 2023, arXiv 2305.16300). It is for models that were trained so.
type Landmarks struct {
	Block  int // tokens of a block; with its landmark it has one row more
	Open   int // blocks that a query opens
	Local  int // tokens that are read at a time
	Memory int // newest blocks that are kept; 0: all
	Share  Sharing

	rows int // the budget, if blocks were not given
}

// Sharing says which queries open the same blocks.
type Sharing string

// The modes of landmark attention.
const (
	PerTokenAndHead Sharing = "none"   // every query of every head opens blocks of its own
	MaxOverHeads    Sharing = "heads"  // the heads of a token open the same
	MaxOverTokens   Sharing = "tokens" // the tokens that are read at a time open the same, in each head
)

var landmarkKind = Kind{
	Name: "landmark", Title: "blocks that landmark tokens open, for models trained with them",
	Paper: "Mohtashami and Jaggi 2023, arXiv 2305.16300", Budget: true,
	parse: func(m *Method, p *params.Params, budget int) {
		m.Landmarks = &Landmarks{
			Open: p.Int("blocks", 0, 1, math.MaxInt32), Local: p.Int("local", 0, 1, math.MaxInt32),
			Memory: p.Int("memory", 0, 1, math.MaxInt32),
			Share:  Sharing(p.Word("share", string(PerTokenAndHead), string(MaxOverHeads), string(MaxOverTokens))),
		}
		if m.Landmarks.Open > 0 && budget > 0 {
			p.Fail("blocks", "either blocks, or a budget of rows")
		}
		m.Landmarks.rows = budget
	},
}

// index has the key of a block's landmark stand for it.
func (l *Landmarks) index() kvcache.Index {
	return kvcache.Index{Summary: kvcache.Landmark, Block: l.Block + 1}
}
