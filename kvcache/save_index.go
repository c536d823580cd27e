package kvcache

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

func (l *saved) writeIndex(to io.Writer, cfg Config) error {
	var w words
	for _, n := range []int{l.sealed, l.blocks.rows, l.groups.rows} {
		w.uint32(uint32(n))
	}
	dim, _ := cfg.summaryDims()
	for _, part := range []*sharedRows{&l.blocks, &l.groups} {
		for j, pg := range part.pages {
			w.int32s(pg.positions[:min(PageRows, part.rows-j*PageRows)])
		}
		if _, err := to.Write(w); err != nil {
			return err
		}
		w = w[:0]
		if err := part.write(to, cfg.summaryType(), dim); err != nil {
			return err
		}
	}
	return nil
}

// index reads the blocks of a list whose rows are read.
func (r *snapshotReader) index(l *saved, seen int) error {
	const header = 3 * 4
	if len(r.rows) < header {
		return errShort
	}
	sealed, blocks, groups := int64(r.uint32()), int64(r.uint32()), int64(r.uint32())
	x := r.cfg.Index
	switch rows := int64(l.wide.rows); {
	case rows != int64(seen):
		return fmt.Errorf("%d rows, but %d were seen and none can have been dropped", rows, seen)
	case sealed != 0 && r.sealed != 0 && sealed != r.sealed:
		return fmt.Errorf("up to row %d, those of another head up to row %d", sealed, r.sealed)
	case sealed > rows || blocks > sealed || blocks == 0 && sealed > 0 || groups > 0 && !x.grouped() || x.grouped() && groups != blocks/GroupBlocks:
		return fmt.Errorf("%d of them in %d groups, up to row %d of %d", blocks, groups, sealed, rows)
	case blocks > 0 && x.Summary == Centroid && (sealed-int64(x.Sinks))%int64(x.Segment) != 0:
		return fmt.Errorf("they end at row %d, within a segment of %d", sealed, x.Segment)
	case x.Summary != Centroid && blocks > 0 && sealed != int64(x.Sinks)+blocks*int64(x.Block):
		return fmt.Errorf("%d of %d rows end at row %d", blocks, x.Block, sealed)
	}
	l.sealed, r.sealed = int(sealed), max(sealed, r.sealed)
	if err := r.summaries(&l.blocks, int(blocks)); err != nil {
		return err
	}
	if err := r.summaries(&l.groups, int(groups)); err != nil {
		return err
	}
	return r.checkBlocks(l)
}

// summaries reads so many rows and their pages, which are copied.
func (r *snapshotReader) summaries(p *sharedRows, rows int) error {
	pages := pagesOf(rows)
	dim, mean := r.cfg.summaryDims()
	key, err := r.cfg.summaryType().RowBytes(dim)
	if err != nil {
		return err
	}
	value, err := r.cfg.summaryType().RowBytes(mean)
	if err != nil {
		return err
	}
	size := (key + value) * PageRows
	if len(r.rows) < 4*rows || (len(r.rows)-4*rows)/size < pages {
		return errShort
	}
	p.rows = rows
	for first := 0; first < rows; first += PageRows {
		pg := &page{positions: make([]int32, PageRows), shared: true}
		copy(pg.positions, r.int32s(min(PageRows, rows-first)))
		p.pages = append(p.pages, pg)
	}
	for _, pg := range p.pages {
		slab := bytes.Clone(r.rows[:size])
		pg.keys, pg.values = slab[:key*PageRows:key*PageRows], slab[key*PageRows:]
		r.rows = r.rows[size:]
	}
	return nil
}

// checkBlocks holds blocks against the rows that they are of.
func (r *snapshotReader) checkBlocks(l *saved) error {
	x := r.cfg.Index
	// Where the next block begins if they are of one size, and else before which row it does: a segment does with a cluster.
	last, next := x.Sinks-1, x.Sinks
	for i := range l.blocks.rows {
		first := int(l.blocks.position(i))
		if first <= last || first >= l.sealed || first > next || x.Summary != Centroid && first < next {
			return fmt.Errorf("number %d begins with row %d", i, first)
		}
		if last = first; first == next {
			next += max(x.Block, x.Segment)
		}
	}
	if l.blocks.rows > 0 && next != l.sealed {
		return fmt.Errorf("none begins with row %d", next)
	}
	for i := range l.groups.rows {
		if first := int(l.groups.position(i)); first != i*GroupBlocks {
			return fmt.Errorf("group %d begins with block %d", i, first)
		}
	}
	if x.Summary != Centroid {
		return nil
	}
	return l.checkSegments(x)
}

// checkSegments finds out whether rows are in the order of their positions but within segments.
func (l *saved) checkSegments(x Index) error {
	last, memory := int32(-1), make([]int32, x.Segment)
	for first := 0; first < l.wide.rows; {
		n := 1
		if first >= x.Sinks && first < l.sealed {
			n = x.Segment
		}
		positions := memory[:n]
		for i := range positions {
			positions[i] = l.wide.position(first + i)
		}
		slices.Sort(positions)
		for _, at := range positions {
			if at <= last {
				return fmt.Errorf("position %d after %d, in the rows from %d on", at, last, first)
			}
			last = at
		}
		first += n
	}
	return nil
}

func (p *sharedRows) position(i int) int32 { return p.pages[i/PageRows].positions[i%PageRows] }
