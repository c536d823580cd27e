package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/mneme-lm/mneme/kernels"
)

// A saved snapshot is two pieces of data. The first says how many rows there are and what goes with them, all numbers
// little-endian: the rows seen, the rows seen when some were last dropped and the last position, as int64; then for each
// layer and KV head
//
//	4 bytes     rows, uint32
//	4           cursor, uint32
//	4·rows      positions, int32
//	4·rows      each mark, float32
//
// The second is the pages of each layer and KV head, one after the other, each with its keys and then its values as they
// lie in memory. What is beyond the last row is zeros.

// WriteRows writes the first piece.
func (s *Snapshot) WriteRows(w io.Writer) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(s.seen))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.evicted))
	b = binary.LittleEndian.AppendUint64(b, uint64(int64(s.last)))
	for i := range s.lists {
		l := &s.lists[i]
		b = binary.LittleEndian.AppendUint32(b, uint32(l.rows))
		b = binary.LittleEndian.AppendUint32(b, uint32(l.cursor))
		for r := range l.rows {
			b = binary.LittleEndian.AppendUint32(b, uint32(l.pages[r/PageRows].positions[r%PageRows]))
		}
		for _, marks := range l.marks {
			for _, m := range marks {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(m))
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	return nil
}

// WritePages writes the second piece.
func (s *Snapshot) WritePages(w io.Writer) error {
	key, value, err := s.cfg.rowBytes()
	if err != nil {
		return err
	}
	zeros := make([]byte, max(key, value)*PageRows)
	for i := range s.lists {
		l := &s.lists[i]
		for j, pg := range l.pages {
			n := min(PageRows, l.rows-j*PageRows)
			groups := wholeGroups(n)
			last := pg.keys[:groups*key]
			if n < groups { // keys of a group lie between each other
				last = pg.clearedKeys(s.cfg, n, groups)
			}
			for _, data := range [][]byte{last, zeros[:(PageRows-groups)*key], pg.values[:n*value], zeros[:(PageRows-n)*value]} {
				if _, err := w.Write(data); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// clearedKeys is a copy of the first groups of keys with zeros in place of those from n on.
func (pg *page) clearedKeys(cfg Config, n, rows int) []byte {
	key := len(pg.keys) / PageRows
	clean := make([]byte, rows*key)
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	kernels.MoveKeys(clean, 0, pg.keys, all, cfg.Type, cfg.KeyDim)
	return clean
}

// ReadSnapshot makes a snapshot of what WriteRows and WritePages wrote, of a cache of the given shape. The pages are used
// where they lie: they must not change as long as owner, which the snapshot and caches that restore it keep alive, is in
// use.
func ReadSnapshot(cfg Config, rows, pages []byte, owner any) (*Snapshot, error) {
	key, value, err := cfg.rowBytes()
	if err != nil {
		return nil, err
	}
	r := &snapshotReader{cfg: cfg, key: key, value: value, rows: rows, pages: pages, owner: owner}
	s, err := r.read()
	if err != nil {
		return nil, fmt.Errorf("kvcache: saved rows: %w", err)
	}
	return s, nil
}

type snapshotReader struct {
	cfg         Config
	key, value  int
	rows, pages []byte
	owner       any
}

var errShort = errors.New("the data ends too early")

func (r *snapshotReader) read() (*Snapshot, error) {
	if len(r.rows) < 24 {
		return nil, errShort
	}
	seen, evicted := binary.LittleEndian.Uint64(r.rows), binary.LittleEndian.Uint64(r.rows[8:])
	last := int64(binary.LittleEndian.Uint64(r.rows[16:]))
	r.rows = r.rows[24:]
	if seen > math.MaxInt32 || evicted > seen || last < -1 || last > math.MaxInt32 {
		return nil, fmt.Errorf("%d rows seen, %d of them at the last eviction, the last at position %d", seen, evicted, last)
	}
	s := &Snapshot{cfg: r.cfg, lists: make([]saved, r.cfg.Layers*r.cfg.Heads), seen: int(seen), evicted: int(evicted), last: int32(last)}
	for i := range s.lists {
		if err := r.list(&s.lists[i], s); err != nil {
			return nil, fmt.Errorf("layer %d, head %d: %w", i/r.cfg.Heads, i%r.cfg.Heads, err)
		}
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

func (r *snapshotReader) list(l *saved, s *Snapshot) error {
	if len(r.rows) < 8 {
		return errShort
	}
	rows, cursor := int64(r.uint32()), int64(r.uint32())
	switch {
	case rows > int64(s.seen) || cursor > rows:
		return fmt.Errorf("%d rows of %d, the cursor at %d", rows, s.seen, cursor)
	case rows < int64(s.seen-s.evicted):
		return fmt.Errorf("%d rows, and %d were added since the last eviction", rows, s.seen-s.evicted)
	case int64(len(r.rows)) < rows*4*int64(1+r.cfg.Marks):
		return errShort
	}
	l.rows, l.cursor = int(rows), int(cursor)
	size := (r.key + r.value) * PageRows
	last := int32(-1)
	for first := 0; first < l.rows; first += PageRows {
		if len(r.pages) < size {
			return errShort
		}
		keys := r.key * PageRows
		pg := &page{keys: r.pages[:keys:keys], values: r.pages[keys:size:size], positions: make([]int32, PageRows), shared: true, owner: r.owner}
		r.pages = r.pages[size:]
		for i := range min(PageRows, l.rows-first) {
			p := int32(r.uint32())
			if p <= last || p > s.last {
				return fmt.Errorf("row %d is at position %d, after %d", first+i, p, last)
			}
			pg.positions[i], last = p, p
		}
		l.pages = append(l.pages, pg)
	}
	l.marks = make([][]float32, r.cfg.Marks)
	for k := range l.marks {
		l.marks[k] = make([]float32, l.rows)
		for i := range l.marks[k] {
			l.marks[k][i] = math.Float32frombits(r.uint32())
		}
	}
	return nil
}
