package model

import (
	"fmt"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// tileQueries is about how many queries meet a piece of the cache together: enough that bringing the piece in costs little
// beside, few enough that their scores stay in a second-level cache.
const tileQueries = 48

// sharedTiles is the number of tiles for each thread below which threads would end too far apart: then they share tiles,
// segment by segment of the cache.
const sharedTiles = 4

// tile is some neighbouring rows of a batch, of one sequence, whose queries attend together.
type tile struct {
	first, rows int
	kept        int // number, from 1, among the tiles of one row whose scores are kept for a policy that observes it; 0: not kept
}

// tileRows is the most rows of a tile.
func (m *Model) tileRows() int { return max(1, tileQueries*m.KVHeads/m.Heads) }

// segmentsOf is the number of segments of a cache of so many spans.
func segmentsOf(spans int) int {
	return (spans + attention.SegmentSpans - 1) / attention.SegmentSpans
}

// attending is what the threads share on their way through attention.
type attending struct {
	tiles     []tile
	positions []int32   // of the batch's rows
	partials  []float32 // of the segments of tiles, where several threads work on one
	segments  int       // the most that a tile has, where they do; else 1
	watched   []tile    // rows whose queries a policy observes
	noted     []tile    // rows by whose queries channels of keys are to be chosen

	kept       []float32 // [tiles that have them kept, heads, keptStride] scores
	keptStride int

	weighed   []int              // rows whose attention is weighed
	retrieves bool               // some sequence opens a part of its rows
	choosings []choosing         // sequences with landmarks
	picks     []int32            // the blocks that their sets of queries open
	openings  []attention.Opened // of tiles and KV heads, where it does and several threads work on one
}

// resize cuts a batch into tiles.
func (a *attending) resize(m *Model, rows []Row, threads int) {
	group := m.Heads / m.KVHeads
	most := m.tileRows()
	a.tiles, a.positions, a.segments, a.retrieves = a.tiles[:0], a.positions[:0], 1, false
	widest, longest := 1, 0
	for i := range rows {
		a.positions = append(a.positions, rows[i].Position)
		if n := len(a.tiles) - 1; i > 0 && rows[i].Sequence == rows[i-1].Sequence && a.tiles[n].rows < most {
			a.tiles[n].rows++
			widest = max(widest, a.tiles[n].rows)
			continue
		}
		a.tiles = append(a.tiles, tile{first: i, rows: 1})
		longest = max(longest, rows[i].Sequence.mostSpans()+rows[i].Sequence.Cache.View(0, 0).Dropped%attention.SegmentSpans)
		a.retrieves = a.retrieves || rows[i].Sequence.retrieves()
	}
	a.watch(rows)
	a.weigh(m, rows)
	a.chooses(m, rows)
	a.keep(m, rows)
	if threads > 1 && len(a.tiles)*m.KVHeads < sharedTiles*threads && len(a.choosings) == 0 {
		a.segments = max(1, segmentsOf(longest))
	}
	if a.segments > 1 {
		for a.retrieves && len(a.openings) < len(a.tiles)*m.KVHeads {
			a.openings = append(a.openings, attention.Opened{})
		}
		kernels.Grow(&a.partials, len(a.tiles)*m.KVHeads*a.segments*attention.PartialFloats(widest*group, m.ValueDim))
	}
}

// attendingBytes is the most memory that resize takes for batches of up to so many rows of a sequence, with a cache of so
// many.
func attendingBytes(m *Model, rows, cached, threads int) int64 {
	bytes := 4 * int64(rows)
	segments := segmentsOf((cached + kvcache.PageRows - 1) / kvcache.PageRows)
	if segments < 2 || threads < 2 {
		return bytes
	}
	group, most := m.Heads/m.KVHeads, m.tileRows()
	tiles := min((rows+most-1)/most*m.KVHeads, sharedTiles*threads-1)
	return bytes + 4*int64(tiles)*int64(segments)*int64(attention.PartialFloats(min(rows, most)*group, m.ValueDim))
}

// store encodes keys and values for the cache.
func (p *pass) store(l *layer, i, h int, key, value []float32) error {
	c := p.batch[i].Sequence.Cache
	t := c.Config().Type
	k, err := encodeRow(&p.key, t, key)
	if err != nil {
		return fmt.Errorf("model: key of position %d, layer %d, head %d: %w", p.batch[i].Position, l.index, h, err)
	}
	v, err := encodeRow(&p.value, t, value)
	if err != nil {
		return fmt.Errorf("model: value of position %d, layer %d, head %d: %w", p.batch[i].Position, l.index, h, err)
	}
	return c.Put(l.index, h, int(p.slots[i]), k, v)
}

// encodeRow makes the stored form of a row in *memory. Rows that are not finite are refused: they would spoil the results
// of texts that do not see them.
func encodeRow(memory *[]byte, t quant.Type, x []float32) ([]byte, error) {
	n, err := t.RowBytes(len(x))
	if err != nil {
		return nil, err
	}
	for i, v := range x {
		if v-v != 0 {
			return nil, fmt.Errorf("dimension %d is %v", i, v)
		}
	}
	kernels.Grow(memory, n)
	return *memory, quant.Encode(t, *memory, x)
}

// attend sets attended, in all its forms, to what each row sees in its sequence's cache.
func (p *pass) attend(l *layer) {
	n := len(p.tiles) * p.model.KVHeads
	if p.segments == 1 {
		p.w.For(n, 1, func(from, to int) {
			for at := from; at < to; at++ {
				t, h := p.tileAt(at)
				p.attendTile(l, t, h)
				p.attendPersistent(l, t, h)
				p.convertHeads(at)
			}
		})
	} else {
		p.openAll(l, n)
		p.w.For(n*p.segments, 1, func(from, to int) {
			for at := from; at < to; at++ {
				t, h := p.tileAt(at / p.segments)
				q, view := p.queries(l, t, h)
				p.setParams(l, t)
				attention.Segment(p.impl, &q, p.openedAt(at/p.segments, &view), at%p.segments, &p.params, p.partial(at), p.attn)
			}
		})
		p.w.Barrier()
		p.w.For(n, 1, func(from, to int) {
			for at := from; at < to; at++ {
				p.merge(l, at)
				t, h := p.tileAt(at)
				p.attendPersistent(l, t, h)
				p.convertHeads(at)
			}
		})
	}
	p.w.Barrier()
	if p.headsConvert() {
		return
	}
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.impl.Convert(p.attended, i, 0, p.attended.Cols)
		}
	})
	p.w.Barrier()
}

// attendTile sets attended for a tile and KV head.
func (p *pass) attendTile(l *layer, t tile, h int) {
	if p.batch[t.first].Sequence.landmarks != nil {
		p.attendLandmarks(l, t, h)
		return
	}
	q, view := p.queries(l, t, h)
	p.open(l, t, h, &q, &view, &p.opened)
	p.opened.Attend(p.impl, &q, &p.params, p.attn)
}

// setParams sets what attention asks of the queries of a tile.
func (p *pass) setParams(l *layer, t tile) {
	p.params = p.model.attentionParams(l, p.batch[t.first].Sequence.Attention)
}

// attentionParams is what attention asks of a layer's queries in a sequence that attends by a method; nil: as the model says.
func (m *Model) attentionParams(l *layer, method *attention.Method) attention.Params {
	p := attention.Params{
		Scale: m.AttentionScale, Softcap: m.AttentionSoftcap, Window: int32(l.window), Chunks: [2]int32{int32(l.chunk), 0},
	}
	method.Narrow(l.index, &p)
	return p
}

// open finds out which rows the queries of a tile and KV head open.
func (p *pass) open(l *layer, t tile, h int, q *attention.Queries, view *kvcache.View, to *attention.Opened) {
	p.setParams(l, t)
	s := p.batch[t.first].Sequence
	r := s.retrieval(l)
	if r == nil {
		to.All(view)
		p.touch(s, to)
		return
	}
	r.Open(p.impl, q, view, s.Cache.Index(l.index, h), s.Cache.Seen()-p.before[s].seen, &p.params, p.attn, to)
	p.touch(s, to)
}

// openAll finds out which rows the queries of all tiles open, where threads then work on a tile together.
func (p *pass) openAll(l *layer, n int) {
	if !p.retrieves {
		return
	}
	p.w.For(n, 1, func(from, to int) {
		for at := from; at < to; at++ {
			t, h := p.tileAt(at)
			q, view := p.queries(l, t, h)
			p.open(l, t, h, &q, &view, &p.openings[at])
		}
	})
	p.w.Barrier()
}

// openedAt is what the queries of a tile and KV head meet of a view, after openAll.
func (p *pass) openedAt(at int, view *kvcache.View) *kvcache.View {
	if !p.retrieves {
		return view
	}
	return &p.openings[at].View
}

// tileAt returns the tile and the KV head of number at.
func (p *pass) tileAt(at int) (t tile, head int) { return p.tiles[at%len(p.tiles)], at / len(p.tiles) }

// queries returns the queries of a tile and KV head, and what they meet.
func (p *pass) queries(l *layer, t tile, h int) (attention.Queries, kvcache.View) {
	m := p.model
	group := m.Heads / m.KVHeads
	s := p.batch[t.first].Sequence
	q := attention.Queries{
		Q: p.q[(t.first*m.Heads+h*group)*m.KeyDim:], QStride: m.Heads * m.KeyDim,
		Out: p.attended.Float[(t.first*m.Heads+h*group)*m.ValueDim:], OutStride: m.Heads * m.ValueDim,
		Heads: group, Positions: p.positions[t.first : t.first+t.rows], Turn: p.turned(s, l.index, h, &p.turn),
	}
	if l.neural != nil && m.Neural.beside() {
		q.Sums, q.SumsStride = p.sums[2*(t.first*m.Heads+h*group):], 2*m.Heads
	}
	if t.kept > 0 {
		q.KeptStride = p.keptStride
		q.Kept = p.kept[((t.kept-1)*m.Heads+h*group)*q.KeptStride:]
	}
	return q, s.Cache.View(l.index, h)
}

// partial is the memory for a segment of a tile and KV head.
func (p *pass) partial(at int) attention.Partial {
	m := p.model
	size := len(p.partials) / (len(p.tiles) * m.KVHeads * p.segments)
	t, _ := p.tileAt(at / p.segments)
	return attention.NewPartial(p.partials[at*size:], t.rows*(m.Heads/m.KVHeads), m.ValueDim)
}

// merge brings the segments of a tile and KV head together, in order.
func (p *pass) merge(l *layer, at int) {
	t, h := p.tileAt(at)
	q, view := p.queries(l, t, h)
	total := p.partial(at * p.segments)
	for s := 1; s < attention.Segments(p.openedAt(at, &view)); s++ {
		next := p.partial(at*p.segments + s)
		total.Merge(p.impl, &next)
	}
	if p.retrieves {
		p.openings[at].AddEstimated(p.impl, &total)
	}
	total.Finish(&q, view.ValueDim)
}

// headsConvert reports whether what attends to a KV head is whole blocks of activations, which can be converted by the
// thread that has them.
func (p *pass) headsConvert() bool {
	m := p.model
	return m.Heads/m.KVHeads*m.ValueDim%kernels.Q8Block == 0
}

func (p *pass) convertHeads(at int) {
	if !p.headsConvert() {
		return
	}
	m := p.model
	t, h := p.tileAt(at)
	width := m.Heads / m.KVHeads * m.ValueDim
	for i := range t.rows {
		p.impl.Convert(p.attended, t.first+i, h*width, (h+1)*width)
	}
}
