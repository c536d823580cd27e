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
func (r *snapshotReader) index(l *saved, s *Snapshot) error {
	const header = 3 * 4
	if len(r.rows) < header {
		return errShort
	}
	sealed, blocks, groups := int64(r.uint32()), int64(r.uint32()), int64(r.uint32())
	x := r.cfg.Index
	if l.dropped = s.seen - l.wide.rows; l.dropped > 0 && (x.Keep == 0 || l.dropped%PageRows > 0) {
		return fmt.Errorf("%d rows of %d are missing", l.dropped, s.seen)
	}
	switch rows := int64(l.wide.rows); {
	case sealed > rows || blocks > sealed+int64(l.dropped) || blocks == 0 && sealed > 0 || groups > 0 && !x.grouped() || x.grouped() && groups != blocks/GroupBlocks:
		return fmt.Errorf("%d of them in %d groups, up to row %d of %d", blocks, groups, sealed, rows)
	case blocks > 0 && x.Summary == Centroid && (sealed-int64(x.Sinks))%int64(x.Segment) != 0:
		return fmt.Errorf("they end at row %d, within a segment of %d", sealed, x.Segment)
	case x.Keep > 0 && blocks > 0:
		break // see checkBlocks
	case x.Summary != Centroid && blocks > 0 && sealed != int64(x.Sinks)+blocks*int64(x.Block):
		return fmt.Errorf("%d of %d rows end at row %d", blocks, x.Block, sealed)
	}
	l.sealed = int(sealed)
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
	if x.Keep > 0 {
		return l.checkKept(x)
	}
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

// checkKept is checkBlocks where old blocks go.
func (l *saved) checkKept(x Index) error {
	gone := 0 // summaries
	if l.blocks.rows > 0 {
		gone = int(l.blocks.position(0)) / x.Block
	}
	for i := range l.blocks.rows {
		if first := int(l.blocks.position(i)); first != (gone+i)*x.Block {
			return fmt.Errorf("number %d begins with row %d", i, first)
		}
	}
	blocks := gone + l.blocks.rows
	switch begun := x.begun(l.dropped); {
	case gone < 0 || gone%PageRows > 0 || gone > begun || blocks*x.Block != l.dropped+l.sealed:
		return fmt.Errorf("%d of them after %d that are gone, up to row %d after %d that are gone", l.blocks.rows, gone, l.sealed, l.dropped)
	case l.dropped > 0 && blocks-x.Keep < begun:
		return fmt.Errorf("%d of %d are gone, where %d are to be kept", begun, blocks, x.Keep)
	}
	return nil
}

// checkIndex holds lists against each other.
func (s *Snapshot) checkIndex() error {
	x := s.cfg.Index
	if x.Summary == NoSummary {
		return nil
	}
	first := &s.lists[0]
	for i := range s.lists {
		if l := &s.lists[i]; l.wide.rows != first.wide.rows || l.sealed != first.sealed {
			return fmt.Errorf("layer %d, head %d: %d rows, in blocks up to row %d; the first head has %d and %d",
				i/s.cfg.Heads, i%s.cfg.Heads, l.wide.rows, l.sealed, first.wide.rows, first.sealed)
		}
	}
	if since := x.since(first.dropped); first.dropped > 0 && s.evicted < since {
		return fmt.Errorf("rows were dropped when there were %d, and could not be before there were %d", s.evicted, since)
	}
	return nil
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
