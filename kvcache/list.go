package kvcache

// list is the rows of one layer and KV head: first those whose keys were pruned to some of their channels, then the
// others.
type list struct {
	narrow, wide part
	channels     []int32     // that narrow keys have, ascending; nil: not chosen yet
	marks        [][]float32 // [Config.Marks][rows]
	held         [][]float32 // what the marks were, see Cache.HoldMarks
	cursor       int         // where a policy has come to among the rows
	queries      asked
	view         View
	summaries    summaries
	sealing      *summarizer // nil: no block was made yet
	dropped      int         // rows that were dropped from the beginning, see Cache.DropOld and Cache.DropUnseen
	index        IndexView
	cfg          *Config
}

// rows is the number of rows.
func (l *list) rows() int { return l.narrow.rows + l.wide.rows }

// position is that of row i.
func (l *list) position(i int) int32 {
	if i < l.narrow.rows {
		return l.narrow.position(i)
	}
	return l.wide.position(i - l.narrow.rows)
}

// last is the largest position of the rows, or of those before them, -1 if there are none.
func (l *list) last() int32 {
	n, last := l.rows(), int32(l.dropped)-1
	first := n - 1
	if l.wide.clustered && n == l.summaries.sealed {
		first = n - l.cfg.Index.Segment
	}
	for i := max(first, 0); i < n; i++ {
		last = max(last, l.position(i))
	}
	return last
}

// extend makes rows for the given positions at the end.
func (l *list) extend(positions []int32) {
	had := l.rows()
	l.wide.extend(positions)
	for k := range l.marks {
		for range positions {
			l.marks[k] = append(l.marks[k], 0)
		}
	}
	l.refresh(had)
}

// clear drops all rows: there never were any.
func (l *list) clear() {
	l.dropped, l.channels = 0, nil
	l.cut(0)
}

// cut drops all rows but the first n.
func (l *list) cut(n int) {
	if n == 0 {
		l.summaries.cut(0, 0)
		l.refreshIndex()
	} else if n < l.summaries.sealed {
		l.unseal(n, n)
	}
	narrow := min(n, l.narrow.rows)
	l.narrow.cut(narrow)
	l.wide.cut(n - narrow)
	for k := range l.marks {
		l.marks[k] = l.marks[k][:n]
	}
	l.cursor = min(l.cursor, n)
	l.refresh(n)
}

// refreshIndex brings the view of the blocks up to date.
func (l *list) refreshIndex() {
	x := &l.summaries
	l.index.Blocks.Spans = x.blocks.spans(l.index.Blocks.Spans[:0], 0, 0, nil)
	l.index.Groups.Spans = x.groups.spans(l.index.Groups.Spans[:0], 0, 0, nil)
	l.index.Sealed, l.index.dropped = x.sealed, l.dropped
}

// refresh brings the view up to date from a row on.
func (l *list) refresh(first int) {
	v, narrow := &l.view, len(l.narrow.pages)
	v.Dropped = l.dropped / PageRows
	from := first / PageRows
	if first >= l.narrow.rows {
		from = narrow + (first-l.narrow.rows)/PageRows
	}
	if n := len(v.Spans); n > from {
		clear(v.Spans[from:])
		v.Spans = v.Spans[:from]
	}
	if from < narrow {
		v.Spans = l.narrow.spans(v.Spans, from, 0, l.channels)
	}
	v.Spans = l.wide.spans(v.Spans, max(from-narrow, 0), l.narrow.rows, nil)
}

// keep drops all rows but those whose numbers are given, which ascend.
func (l *list) keep(rows []int32) {
	same, narrow := leading(rows), l.narrow.rows
	if narrow == 0 {
		l.wide.keep(rows)
	} else {
		n := 0
		for n < len(rows) && int(rows[n]) < narrow {
			n++
		}
		wide := make([]int32, len(rows)-n)
		for i, r := range rows[n:] {
			wide[i] = r - int32(narrow)
		}
		l.narrow.keep(rows[:n])
		l.wide.keep(wide)
	}
	for k, marks := range l.marks {
		for i, r := range rows[same:] {
			marks[same+i] = marks[r]
		}
		l.marks[k] = marks[:len(rows)]
	}
	l.cursor = min(l.cursor, len(rows))
	if narrow > 0 {
		same = 0 // also spans whose rows stay may end elsewhere
	}
	l.refresh(same)
}
