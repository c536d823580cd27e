package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// A saved snapshot is two pieces of data. The first says how many rows there are and what goes with them, all numbers
// little-endian: the rows seen, those seen when some were last dropped, the number of the first whose key was not pruned, and
// the last position, as int64; then for each layer and KV head
//
//	4 bytes     rows with narrow keys, uint32
//	4           rows with whole keys, uint32
//	4           cursor, uint32
//	4           channels that were chosen, uint32
//	4           queries to choose channels by, uint32
//	4·channels  their numbers, int32
//	4·queries   their positions, int32
//	…           their squares, [queries, keyDim] float32
//	4·rows      positions, int32
//	4·rows      each mark, float32
//
// and, of a cache whose older rows are summarized,
//
//	4 bytes     rows that are sinks or in blocks, uint32
//	4           blocks, uint32
//	4           groups of blocks, uint32
//	4·blocks    the numbers that their first rows were given, int32; then their pages, as below
//	4·groups    the first blocks of groups, int32; then their pages
//
// Of such a cache, and of one whose queries do not see far (Config.Local), rows that were seen and are not there are the first ones.
//
// The second is the pages of each layer and KV head, narrow ones first, one after the other, each with its keys and then its
// values as they lie in memory. What is beyond the last row is zeros.

// words collects little-endian numbers.
type words []byte

func (w *words) uint32(v uint32) { *w = binary.LittleEndian.AppendUint32(*w, v) }

func (w *words) int64(v int64) { *w = binary.LittleEndian.AppendUint64(*w, uint64(v)) }

func (w *words) int32s(list []int32) {
	for _, v := range list {
		w.uint32(uint32(v))
	}
}

func (w *words) floats(list []float32) {
	for _, v := range list {
		w.uint32(math.Float32bits(v))
	}
}

// WriteRows writes the first piece.
func (s *Snapshot) WriteRows(to io.Writer) error {
	var w words
	for _, v := range []int64{int64(s.seen), int64(s.evicted), int64(s.pruned), int64(s.last)} {
		w.int64(v)
	}
	for i := range s.lists {
		l := &s.lists[i]
		for _, n := range []int{l.narrow.rows, l.wide.rows, l.cursor, len(l.channels), len(l.queries.positions)} {
			w.uint32(uint32(n))
		}
		w.int32s(l.channels)
		w.int32s(l.queries.positions)
		w.floats(l.queries.squares)
		for _, part := range []*sharedRows{&l.narrow, &l.wide} {
			for j, pg := range part.pages {
				w.int32s(pg.positions[:min(PageRows, part.rows-j*PageRows)])
			}
		}
		for _, marks := range l.marks {
			w.floats(marks)
		}
		if _, err := to.Write(w); err != nil {
			return err
		}
		w = w[:0]
		if s.cfg.Index.Summary != NoSummary {
			if err := l.writeIndex(to, s.cfg); err != nil {
				return err
			}
		}
	}
	return nil
}

// WritePages writes the second piece.
func (s *Snapshot) WritePages(to io.Writer) error {
	for i := range s.lists {
		l := &s.lists[i]
		if err := l.narrow.write(to, s.cfg.Type, s.cfg.KeyDim-s.cfg.Pruned); err != nil {
			return err
		}
		if err := l.wide.write(to, s.cfg.Type, s.cfg.KeyDim); err != nil {
			return err
		}
	}
	return nil
}

func (p *sharedRows) write(to io.Writer, t quant.Type, keyDim int) error {
	for j, pg := range p.pages {
		n := min(PageRows, p.rows-j*PageRows)
		keys, values := pg.keys, pg.values
		if n < PageRows { // keys of a group lie between each other
			keys, values = make([]byte, len(keys)), make([]byte, len(values))
			all := make([]int32, n)
			for i := range all {
				all[i] = int32(i)
			}
			kernels.MoveKeys(keys, 0, pg.keys, all, t, keyDim)
			copy(values, pg.values[:n*(len(values)/PageRows)])
		}
		for _, data := range [][]byte{keys, values} {
			if _, err := to.Write(data); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadSnapshot makes a snapshot of what WriteRows and WritePages wrote, of a cache of the given shape. The pages are used
// where they lie: they must not change as long as owner, which the snapshot and caches that restore it keep alive, is in
// use.
func ReadSnapshot(cfg Config, rows, pages []byte, owner any) (*Snapshot, error) {
	key, value, err := cfg.rowBytes()
	if err != nil {
		return nil, err
	}
	narrow, err := cfg.narrowBytes()
	if err != nil {
		return nil, err
	}
	r := &snapshotReader{cfg: cfg, key: key, narrow: narrow, value: value, rows: rows, pages: pages, owner: owner}
	s, err := r.read()
	if err != nil {
		return nil, fmt.Errorf("kvcache: saved rows: %w", err)
	}
	return s, nil
}

type snapshotReader struct {
	cfg                Config
	key, narrow, value int // bytes of a row
	rows, pages        []byte
	owner              any
}

var errShort = errors.New("the data ends too early")

func (r *snapshotReader) read() (*Snapshot, error) {
	const header = 4 * 8
	if len(r.rows) < header {
		return nil, errShort
	}
	var counts [4]int64
	for i := range counts {
		counts[i] = int64(binary.LittleEndian.Uint64(r.rows[8*i:]))
	}
	r.rows = r.rows[header:]
	seen, evicted, pruned, last := counts[0], counts[1], counts[2], counts[3]
	if seen < 0 || seen > math.MaxInt32 || evicted < 0 || evicted > seen || pruned < 0 || pruned > seen || last < -1 || last > math.MaxInt32 {
		return nil, fmt.Errorf("%d rows seen, %d of them at the last eviction, %d before those whose keys are whole, the last at position %d", seen, evicted, pruned, last)
	}
	s := &Snapshot{
		cfg: r.cfg, lists: make([]saved, r.cfg.Layers*r.cfg.Heads), seen: int(seen), evicted: int(evicted), pruned: int(pruned), last: int32(last),
	}
	for i := range s.lists {
		if err := r.list(&s.lists[i], s); err != nil {
			return nil, fmt.Errorf("layer %d, head %d: %w", i/r.cfg.Heads, i%r.cfg.Heads, err)
		}
	}
	if err := s.checkIndex(); err != nil {
		return nil, err
	}
	if err := s.checkLocal(); err != nil {
		return nil, err
	}
	if len(r.rows) > 0 || len(r.pages) > 0 {
		return nil, fmt.Errorf("%d and %d bytes too many", len(r.rows), len(r.pages))
	}
	return s, nil
}

func (r *snapshotReader) uint32() uint32 {
	v := binary.LittleEndian.Uint32(r.rows)
	r.rows = r.rows[4:]
	return v
}

func (r *snapshotReader) int32s(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(r.uint32())
	}
	return list
}

func (r *snapshotReader) floats(n int) []float32 {
	list := make([]float32, n)
	for i := range list {
		list[i] = math.Float32frombits(r.uint32())
	}
	return list
}

func (r *snapshotReader) list(l *saved, s *Snapshot) error {
	const header = 5 * 4
	if len(r.rows) < header {
		return errShort
	}
	var counts [5]int64
	for i := range counts {
		counts[i] = int64(r.uint32())
	}
	narrow, wide, cursor, channels, queries := counts[0], counts[1], counts[2], counts[3], counts[4]
	rows, dim := narrow+wide, int64(r.cfg.KeyDim)
	switch {
	case rows > int64(s.seen) || cursor > rows:
		return fmt.Errorf("%d rows of %d, the cursor at %d", rows, s.seen, cursor)
	case wide < int64(s.seen-max(s.evicted, s.pruned)):
		return fmt.Errorf("%d rows with whole keys, and %d were added since rows went or keys were pruned", wide, s.seen-max(s.evicted, s.pruned))
	case channels != 0 && (r.cfg.Pruned == 0 || channels != dim-int64(r.cfg.Pruned)) || channels == 0 && narrow > 0:
		return fmt.Errorf("%d channels of %d chosen where %d go, for %d rows", channels, dim, r.cfg.Pruned, narrow)
	case queries > 2*thinkQueries:
		return fmt.Errorf("%d queries to choose channels by", queries)
	case int64(len(r.rows)) < 4*(channels+queries*(1+dim)+rows*int64(1+r.cfg.Marks)):
		return errShort
	}
	l.cursor = int(cursor)
	if err := r.channels(l, int(channels), int(queries)); err != nil {
		return err
	}
	last := int32(-1)
	var err error
	if l.narrow, err = r.part(int(narrow), r.narrow, s, &last); err != nil {
		return err
	}
	if l.wide, err = r.part(int(wide), r.key, s, &last); err != nil {
		return err
	}
	l.marks = make([][]float32, r.cfg.Marks)
	for k := range l.marks {
		l.marks[k] = r.floats(int(rows))
	}
	if r.cfg.Index.Summary == NoSummary {
		return nil
	}
	if err := r.index(l, s); err != nil {
		return fmt.Errorf("blocks: %w", err)
	}
	return nil
}

func (r *snapshotReader) channels(l *saved, channels, queries int) error {
	if channels > 0 {
		l.channels = r.int32s(channels)
		for i, c := range l.channels {
			if c < 0 || int(c) >= r.cfg.KeyDim || i > 0 && c <= l.channels[i-1] {
				return fmt.Errorf("channel %d of %d", c, r.cfg.KeyDim)
			}
		}
	}
	if queries > 0 {
		l.queries.begin(r.cfg.KeyDim)
		l.queries.positions = append(l.queries.positions, r.int32s(queries)...)
		l.queries.squares = append(l.queries.squares, r.floats(queries*r.cfg.KeyDim)...)
	}
	return nil
}

// part reads so many rows; last is the position of the one before.
func (r *snapshotReader) part(rows, key int, s *Snapshot, last *int32) (p sharedRows, err error) {
	p.rows = rows
	keys, size := key*PageRows, (key+r.value)*PageRows
	for first := 0; first < rows; first += PageRows {
		if len(r.pages) < size {
			return p, errShort
		}
		pg := &page{keys: r.pages[:keys:keys], values: r.pages[keys:size:size], positions: make([]int32, PageRows), shared: true, owner: r.owner}
		r.pages = r.pages[size:]
		for i := range min(PageRows, rows-first) {
			at := int32(r.uint32())
			if at > s.last || at <= *last && r.cfg.Index.Summary != Centroid || at < 0 {
				return p, fmt.Errorf("row %d is at position %d, after %d", first+i, at, *last)
			}
			pg.positions[i], *last = at, at
		}
		p.pages = append(p.pages, pg)
	}
	return p, nil
}
