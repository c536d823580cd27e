package kvcache

import (
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// list is the rows of one layer and KV head.
type list struct {
	pages  []*page
	rows   int
	marks  [][]float32 // [Config.Marks][rows]
	held   [][]float32 // what the marks were, see Cache.HoldMarks
	cursor int         // where a policy has come to among the rows
	view   View
}

// position is that of row i.
func (l *list) position(i int) int32 { return l.pages[i/PageRows].positions[i%PageRows] }

// extend makes rows for the given positions at the end.
func (l *list) extend(p *pool, positions []int32) {
	for at := 0; at < len(positions); {
		in := l.rows % PageRows
		n := min(PageRows-in, len(positions)-at)
		pg := l.writable(p, l.rows/PageRows, in)
		copy(pg.positions[in:], positions[at:at+n])
		l.rows += n
		at += n
	}
	for k := range l.marks {
		for range positions {
			l.marks[k] = append(l.marks[k], 0)
		}
	}
	l.refresh(l.rows - len(positions))
}

// writable returns page i, which is new, or the last one, with its first rows as they were, and not shared.
func (l *list) writable(p *pool, i, rows int) *page {
	if i == len(l.pages) {
		l.pages = append(l.pages, p.take())
	} else if old := l.pages[i]; old.shared {
		pg := p.take()
		pg.copyRows(old, rows, p)
		l.pages[i] = pg
		p.give(old)
	}
	return l.pages[i]
}

// copyRows makes the first rows, and those that share a group of keys with them, those of another page.
func (pg *page) copyRows(from *page, rows int, p *pool) {
	rows = wholeGroups(rows)
	copy(pg.keys, from.keys[:rows*p.key])
	copy(pg.values, from.values[:rows*p.value])
	copy(pg.positions, from.positions[:rows])
}

// wholeGroups rounds a number of rows up to groups of keys.
func wholeGroups(rows int) int {
	return (rows + kernels.KeyGroup - 1) / kernels.KeyGroup * kernels.KeyGroup
}

// cut drops all rows but the first n.
func (l *list) cut(p *pool, n int) {
	keep := (n + PageRows - 1) / PageRows
	for i := keep; i < len(l.pages); i++ {
		p.give(l.pages[i])
		l.pages[i] = nil
	}
	l.pages, l.rows = l.pages[:keep], n
	for k := range l.marks {
		l.marks[k] = l.marks[k][:n]
	}
	l.cursor = min(l.cursor, n)
	l.refresh(n)
}

// refresh brings the view up to date from a row on.
func (l *list) refresh(first int) {
	v := &l.view
	from := first / PageRows
	if n := len(v.Spans); n > from {
		clear(v.Spans[from:])
		v.Spans = v.Spans[:from]
	}
	for i := from; i < len(l.pages); i++ {
		pg, n := l.pages[i], min(PageRows, l.rows-i*PageRows)
		v.Spans = append(v.Spans, Span{
			First: i * PageRows, Keys: pg.keys[:wholeGroups(n)*v.KeyBytes], Values: pg.values[:n*v.ValueBytes], Positions: pg.positions[:n],
		})
	}
}

// put stores rows from row first on, in pages that are not shared.
func (l *list) put(t quant.Type, first int, keys, values []byte) {
	v := &l.view
	for i := range len(keys) / v.KeyBytes {
		pg, at := l.pages[(first+i)/PageRows], (first+i)%PageRows
		kernels.PutKey(pg.keys, t, v.KeyDim, at, keys[i*v.KeyBytes:(i+1)*v.KeyBytes])
		copy(pg.values[at*v.ValueBytes:], values[i*v.ValueBytes:(i+1)*v.ValueBytes])
	}
}

// keep drops all rows but those whose numbers are given, which ascend. Pages that no row is left for are given back.
func (l *list) keep(p *pool, rows []int32) {
	same := 0 // rows that stay where they are
	for same < len(rows) && rows[same] == int32(same) {
		same++
	}
	old := append([]*page(nil), l.pages...)
	for at := same; at < len(rows); {
		pg := l.writable(p, at/PageRows, at%PageRows)
		source := old[rows[at]/PageRows]
		n, page := at, rows[at]/PageRows
		for n < len(rows) && n/PageRows == at/PageRows && rows[n]/PageRows == page {
			n++
		}
		l.move(pg, at%PageRows, source, rows[at:n])
		at = n
	}
	for k, marks := range l.marks {
		for i, r := range rows[same:] {
			marks[same+i] = marks[r]
		}
		l.marks[k] = marks[:len(rows)]
	}
	l.cut(p, len(rows))
	l.refresh(same)
}

// move makes rows of one page, whose numbers in the list are given, rows of another from number to on.
func (l *list) move(pg *page, to int, source *page, rows []int32) {
	v := &l.view
	var memory [PageRows]int32
	from := memory[:0]
	for _, r := range rows {
		from = append(from, r%PageRows)
	}
	kernels.MoveKeys(pg.keys, to, source.keys, from, v.Type, v.KeyDim)
	for i, r := range from {
		copy(pg.values[(to+i)*v.ValueBytes:(to+i+1)*v.ValueBytes], source.values[int(r)*v.ValueBytes:])
		pg.positions[to+i] = source.positions[r]
	}
}
