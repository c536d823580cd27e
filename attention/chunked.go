package attention

import (
	"math"
	"strings"

	"github.com/mneme-lm/mneme/internal/params"
)

// Chunked keeps attention local in some layers: a query sees its own piece of the text, or the rows just before it.
type Chunked struct {
	Chunk   int32  // length of the pieces, from the beginning of the text on; 0: none
	Window  int32  // positions before and with its own that a query sees; 0: all
	Pattern string // which layers, over and over: l for those that are local, g for global ones
}

// DefaultChunk is the length of a chunk unless another is asked for.
const DefaultChunk = 512

var chunkedKind = Kind{
	Name: "chunked", Title: "local windows: pieces of the text, or what comes just before; in all layers or some",
	Paper: "Beltagy et al. 2020, arXiv 2004.05150; the pieces as in Llama 4",
	parse: func(m *Method, p *params.Params, _ int) {
		c := &Chunked{Window: int32(p.Int("window", 0, 1, math.MaxInt32))}
		fallback := DefaultChunk
		if c.Window > 0 {
			fallback = 0
		}
		c.Chunk = int32(p.Int("chunk", fallback, 1, math.MaxInt32))
		c.Pattern = strings.ToLower(p.Text("layers", "l"))
		if strings.Trim(c.Pattern, "lg") != "" {
			p.Fail("layers", "%q: want l for local and g for global layers, as in lllg", c.Pattern)
		}
		m.Chunked = c
	},
}

// Local reports whether a layer is local.
func (c *Chunked) Local(layer int) bool { return c.Pattern[layer%len(c.Pattern)] == 'l' }

// Narrow has a layer's queries see no more than the method lets them.
func (m *Method) Narrow(layer int, p *Params) {
	if m == nil || m.Chunked == nil || !m.Chunked.Local(layer) {
		return
	}
	p.Chunks[1] = m.Chunked.Chunk
	if w := m.Chunked.Window; w > 0 && (p.Window == 0 || w < p.Window) {
		p.Window = w
	}
}
