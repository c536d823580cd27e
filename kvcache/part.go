package kvcache

import (
	"slices"

	"github.com/mneme-lm/mneme/kernels"
)

// part is neighbouring rows of a list, in pages of one size.
type part struct {
	pool  *pool
	pages []*page
	spare []*page // that were reserved, see reserve
	rows  int
	// clustered says that positions may be in any order within a page.
	clustered bool
}

// pagesOf is the number of pages that so many rows take.
func pagesOf(rows int) int {
	n := rows / PageRows
	if rows%PageRows > 0 {
		n++
	}
	return n
}

func (p *part) position(i int) int32 { return p.pages[i/PageRows].positions[i%PageRows] }

// extend makes rows for the given positions at the end.
func (p *part) extend(positions []int32) {
	for at := 0; at < len(positions); {
		in := p.rows % PageRows
		n := min(PageRows-in, len(positions)-at)
		pg := p.writable(p.rows/PageRows, in)
		copy(pg.positions[in:], positions[at:at+n])
		p.rows += n
		at += n
	}
}

// writable returns page i, which is new, or the last one, with its first rows as they were, and not shared.
func (p *part) writable(i, rows int) *page {
	if i == len(p.pages) {
		p.pages = append(p.pages, p.take())
	} else if old := p.pages[i]; old.shared {
		p.pool.give(old) // it is the snapshot's alone: one page takes its place
		pg := p.take()
		pg.copyRows(old, rows, p.pool)
		p.pages[i] = pg
	}
	return p.pages[i]
}

// copyRows makes the first rows, and those that share a group of keys with them, those of another page.
func (pg *page) copyRows(from *page, rows int, p *pool) {
	rows = kernels.WholeGroups(rows)
	copy(pg.keys, from.keys[:rows*p.key])
	copy(pg.values, from.values[:rows*p.value])
	copy(pg.positions, from.positions[:rows])
}

// cut drops all rows but the first n.
func (p *part) cut(n int) {
	keep := pagesOf(n)
	for i := keep; i < len(p.pages); i++ {
		p.pool.give(p.pages[i])
		p.pages[i] = nil
	}
	p.pages, p.rows = p.pages[:keep], n
}

// put stores rows from row first on, in pages that are not shared.
func (p *part) put(first int, keys, values []byte) {
	k, v := p.pool.key, p.pool.value
	for i := range len(keys) / k {
		pg, at := p.pages[(first+i)/PageRows], (first+i)%PageRows
		kernels.PutKey(pg.keys, p.pool.typ, p.pool.keyDim, at, keys[i*k:(i+1)*k])
		copy(pg.values[at*v:], values[i*v:(i+1)*v])
	}
}

// copyRow copies row i, in its stored form, as much of the value as there is room for.
func (p *part) copyRow(i int, key, value []byte) {
	pg, at := p.pages[i/PageRows], i%PageRows
	kernels.TakeKey(key, p.pool.typ, p.pool.keyDim, at, pg.keys)
	copy(value, pg.values[at*p.pool.value:])
}

// keep drops all rows but those whose numbers are given, which ascend. Pages that no row is left for are given back.
func (p *part) keep(rows []int32) {
	same := leading(rows)
	old := append([]*page(nil), p.pages...)
	for at := same; at < len(rows); {
		pg := p.writable(at/PageRows, at%PageRows)
		source := old[rows[at]/PageRows]
		n, page := at, rows[at]/PageRows
		for n < len(rows) && n/PageRows == at/PageRows && rows[n]/PageRows == page {
			n++
		}
		p.move(pg, at%PageRows, source, rows[at:n])
		at = n
	}
	p.cut(len(rows))
}

// leading is how many rows of those that are kept stay where they are.
func leading(rows []int32) int {
	same := 0
	for same < len(rows) && rows[same] == int32(same) {
		same++
	}
	return same
}

// move makes rows of one page, whose numbers in the part are given, rows of another from number to on.
func (p *part) move(pg *page, to int, source *page, rows []int32) {
	var memory [PageRows]int32
	from := memory[:0]
	for _, r := range rows {
		from = append(from, r%PageRows)
	}
	kernels.MoveKeys(pg.keys, to, source.keys, from, p.pool.typ, p.pool.keyDim)
	v := p.pool.value
	for i, r := range from {
		copy(pg.values[(to+i)*v:(to+i+1)*v], source.values[int(r)*v:])
		pg.positions[to+i] = source.positions[r]
	}
}

// drop drops the first n rows. Pages that no row is left in go as they are.
func (p *part) drop(n int) {
	p.dropPages(n / PageRows)
	rest := make([]int32, p.rows-n%PageRows)
	for i := range rest {
		rest[i] = int32(n%PageRows + i)
	}
	p.keep(rest)
}

// dropPages drops the first n pages.
func (p *part) dropPages(n int) {
	for _, pg := range p.pages[:n] {
		if pg != nil {
			p.pool.give(pg)
		}
	}
	p.pages, p.rows = slices.Delete(p.pages, 0, n), p.rows-n*PageRows
}

// spans appends the part's rows from page first on to a view's spans; base is the number of the part's first row.
func (p *part) spans(spans []Span, first, base int, channels []int32) []Span {
	for i := first; i < len(p.pages); i++ {
		pg, n := p.pages[i], min(PageRows, p.rows-i*PageRows)
		spans = append(spans, Span{
			First: base + i*PageRows, Keys: pg.keys[:kernels.WholeGroups(n)*p.pool.key], Values: pg.values[:n*p.pool.value],
			Positions: pg.positions[:n], Channels: channels, Last: p.last(pg, n),
		})
	}
	return spans
}

// last is the largest position of a page's first n rows.
func (p *part) last(pg *page, n int) int32 {
	if p.clustered {
		return slices.Max(pg.positions[:n])
	}
	return pg.positions[n-1]
}

// reorder makes row first+i what row first+order[i] is, for all of them.
func (p *part) reorder(first int, order []int32) {
	k, v := p.pool.key, p.pool.value
	keys, values, positions := make([]byte, len(order)*k), make([]byte, len(order)*v), make([]int32, len(order))
	for i, from := range order {
		p.copyRow(first+int(from), keys[i*k:(i+1)*k], values[i*v:(i+1)*v])
		positions[i] = p.position(first + int(from))
	}
	for at := first / PageRows; at < pagesOf(first+len(order)); at++ {
		p.writable(at, min(PageRows, p.rows-at*PageRows))
	}
	p.put(first, keys, values)
	for i, pos := range positions {
		p.pages[(first+i)/PageRows].positions[(first+i)%PageRows] = pos
	}
}
