package kvcache

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// indexed is a cache with blocks, and what was put into it: text[layer·heads+head][i] is the row at position 2i.
type indexed struct {
	*Cache
	text [][]stored
}

// stored is a row, as it is stored.
type stored struct{ key, value []byte }

// row makes the row of a number: the same for the same number.
func (c *indexed) row(t interface{ Fatal(...any) }, list, number int) stored {
	rng := rand.New(rand.NewPCG(uint64(list), uint64(number)))
	randoms := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64()) + float32(i%3)
		}
		return x
	}
	return stored{encode(t, c.cfg.Type, randoms(c.cfg.KeyDim)), encode(t, c.cfg.Type, randoms(c.cfg.ValueDim))}
}

// read appends n rows. Rows of another seed are others.
func (c *indexed) read(t interface{ Fatal(...any) }, n, seed int) {
	if c.text == nil {
		c.text = make([][]stored, len(c.lists))
	}
	for range n {
		at := c.Seen()
		if _, err := c.Append([]int32{int32(2 * at)}); err != nil {
			t.Fatal(err)
		}
		for i := range c.text {
			r := c.row(t, i, at+1000*seed)
			if err := c.Put(i/c.cfg.Heads, i%c.cfg.Heads, at, r.key, r.value); err != nil {
				t.Fatal(err)
			}
			c.text[i] = append(c.text[i], r)
		}
	}
}

// truncate takes the cache and its text back to n rows.
func (c *indexed) truncate(t interface{ Fatal(...any) }, n int) {
	if err := c.Truncate(n); err != nil {
		t.Fatal(err)
	}
	for i := range c.text {
		c.text[i] = c.text[i][:n:n]
	}
}

// seal makes blocks of all heads' rows, a goroutine each.
func (c *indexed) seal(t interface{ Fatal(...any) }, impl *kernels.Implementation, leave int) {
	errs := make([]error, len(c.lists))
	var wait sync.WaitGroup
	for i := range c.lists {
		wait.Go(func() { errs[i] = c.Seal(impl, i/c.cfg.Heads, i%c.cfg.Heads, leave) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func fastest() *kernels.Implementation {
	all := kernels.Implementations()
	return all[len(all)-1]
}

// indexes are ways to summarize blocks.
var indexes = []Index{
	{Summary: Mean, Block: 16},
	{Summary: Mean, Block: 64, Sinks: 64},
	{Summary: Mean, Block: 48, Sinks: 16},
	{Summary: Bounds, Block: 16, Sinks: 32},
	{Summary: Bounds, Block: 144, Sinks: 144},
	{Summary: Landmark, Block: 1},
	{Summary: Landmark, Block: 51},
	{Summary: Centroid, Block: 16, Segment: 16},
	{Summary: Centroid, Block: 16, Sinks: 16, Segment: 64},
	{Summary: Centroid, Block: 32, Sinks: 16, Segment: 240},
}

func (x Index) step() int { return max(x.Block, x.Segment) }

// shaped is a cache whose rows are of a type, with an index.
func shaped(x Index, typ quant.Type) Config {
	return Config{Layers: 2, Heads: 2, KeyDim: 32, ValueDim: 64, Type: typ, Index: x}
}

func decoded(t interface{ Fatal(...any) }, typ quant.Type, row []byte, dim int) []float64 {
	x := make([]float32, dim)
	if err := quant.Decode(typ, x, row); err != nil {
		t.Fatal(err)
	}
	wide := make([]float64, dim)
	for i, v := range x {
		wide[i] = float64(v)
	}
	return wide
}

// storedRows are the rows of a view as they are stored, with their positions.
func storedRows(v *View) (rows []stored, positions []int32) {
	for i := range v.Spans {
		s := &v.Spans[i]
		keys := keyRows(v, s)
		for r := range s.Rows() {
			rows = append(rows, stored{keys[r*v.KeyBytes:][:v.KeyBytes], s.Values[r*v.ValueBytes:][:v.ValueBytes]})
		}
		positions = append(positions, s.Positions...)
	}
	return rows, positions
}

// check holds the rows of the cache against the text, and the blocks against the rows.
func (c *indexed) check(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}) {
	for i := range c.lists {
		layer, head := i/c.cfg.Heads, i%c.cfg.Heads
		view, index := c.View(layer, head), c.Index(layer, head)
		rows, positions := storedRows(&view)
		if len(rows) != len(c.text[i]) {
			t.Fatalf("list %d has %d rows, want %d", i, len(rows), len(c.text[i]))
		}
		seen := make([]bool, len(rows))
		for r, at := range positions {
			want := c.text[i][at/2]
			if seen[at/2] || string(rows[r].key) != string(want.key) || string(rows[r].value) != string(want.value) {
				t.Fatalf("list %d: row %d at position %d is not the one that was put there", i, r, at)
			}
			seen[at/2] = true
			if c.segment(r, index.Sealed) != c.segment(int(at/2), index.Sealed) {
				t.Fatalf("list %d: row %d of %d sealed ones is at position %d", i, r, index.Sealed, at)
			}
		}
		for s := range view.Spans {
			if x := &view.Spans[s]; x.Last != slices.Max(x.Positions) {
				t.Fatalf("list %d: the last position of span %d is %d, its rows are at %v", i, s, x.Last, x.Positions)
			}
		}
		c.checkBlocks(t, index, rows, positions)
	}
	if want := int32(2*len(c.text[0]) - 2); c.LastPosition() != max(want, -1) {
		t.Fatalf("the last position of %d rows is %d", len(c.text[0]), c.LastPosition())
	}
}

// segment is a number for rows that may have any order among each other.
func (c *indexed) segment(row, sealed int) int {
	x := c.cfg.Index
	if x.Summary == Centroid && row >= x.Sinks && row < sealed {
		return -1 - (row-x.Sinks)/x.Segment
	}
	return row
}

// checkBlocks holds the blocks of a list against its rows.
func (c *indexed) checkBlocks(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, index *IndexView, rows []stored, positions []int32) {
	x := c.cfg.Index
	n := index.Blocks.Rows()
	if n == 0 {
		if index.Sealed != 0 {
			t.Fatalf("no blocks end at row %d", index.Sealed)
		}
		return
	}
	blocks, firsts := storedRows(&index.Blocks)
	end := x.Sinks
	var sums [][][]float64 // what summaries are to be
	for b := range n {
		from, to := index.Rows(b)
		if from != end || to <= from || int(firsts[b]) != from || x.Summary != Centroid && to-from != x.Block {
			t.Fatalf("block %d is rows [%d, %d), the one before ends at %d", b, from, to, end)
		}
		if end = to; x.Summary == Centroid && !slices.IsSorted(positions[from:to]) {
			t.Fatalf("cluster %d has positions %v", b, positions[from:to])
		}
		sums = append(sums, c.summarize(t, rows[from:to]))
		closeTo(t, fmt.Sprintf("key of block %d", b), decoded(t, index.Blocks.Type, blocks[b].key, index.Blocks.KeyDim), sums[b][0], c.exact())
		if x.Summary == Centroid {
			closeTo(t, fmt.Sprintf("value of cluster %d", b), decoded(t, index.Blocks.Type, blocks[b].value, c.cfg.ValueDim), sums[b][1], c.exact())
		}
	}
	if end != index.Sealed {
		t.Fatalf("the last block ends at row %d, not %d", end, index.Sealed)
	}
	if !x.grouped() {
		n = 0
	}
	if index.Groups.Rows() != n/GroupBlocks {
		t.Fatalf("%d groups of %d blocks", index.Groups.Rows(), n)
	}
	groups, numbers := storedRows(&index.Groups)
	for g := range groups {
		if int(numbers[g]) != g*GroupBlocks {
			t.Fatalf("group %d begins with block %d", g, numbers[g])
		}
		from, _ := index.Rows(g * GroupBlocks)
		_, to := index.Rows((g+1)*GroupBlocks - 1)
		closeTo(t, fmt.Sprintf("group %d", g), decoded(t, index.Groups.Type, groups[g].key, index.Groups.KeyDim), c.summarize(t, rows[from:to])[0], c.exact())
	}
}

// exact is how close summaries are to what they are to be.
func (c *indexed) exact() float64 {
	if c.cfg.Type == quant.F32 {
		return 4e-6
	}
	return 4e-3
}

// summarize is the summary of rows by its definition: that of keys and, of clusters, that of values.
func (c *indexed) summarize(t interface{ Fatal(...any) }, rows []stored) [][]float64 {
	key, value := make([]float64, c.cfg.KeyDim), make([]float64, c.cfg.ValueDim)
	most, least := make([]float64, c.cfg.KeyDim), make([]float64, c.cfg.KeyDim)
	last := key
	for i := range most {
		most[i], least[i] = math.Inf(-1), math.Inf(1)
	}
	for _, r := range rows {
		last = decoded(t, c.cfg.Type, r.key, c.cfg.KeyDim)
		for i, v := range last {
			key[i] += v / float64(len(rows))
			most[i], least[i] = max(most[i], v), min(least[i], v)
		}
		for i, v := range decoded(t, c.cfg.Type, r.value, c.cfg.ValueDim) {
			value[i] += v / float64(len(rows))
		}
	}
	switch c.cfg.Index.Summary {
	case Bounds:
		return [][]float64{slices.Concat(most, least)}
	case Landmark:
		return [][]float64{last}
	}
	return [][]float64{key, value}
}

func closeTo(t interface{ Fatalf(string, ...any) }, what string, got, want []float64, within float64) {
	if len(got) != len(want) {
		t.Fatalf("%s has %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= within*max(1, math.Abs(w))) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], w)
		}
	}
}

func newIndexed(t interface{ Fatal(...any) }, cfg Config) *indexed {
	return &indexed{Cache: mustNew(t, cfg)}
}

// Summaries are what their definitions say, of rows of every type, whichever kernels make them.
func TestSummariesAreTheirDefinitions(t *testing.T) {
	rows := 3*PageRows + 77
	if testing.Short() {
		rows = PageRows + 77
	}
	for _, impl := range kernels.Implementations() {
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			for _, x := range indexes {
				c := newIndexed(t, shaped(x, typ))
				c.read(t, rows, 0)
				c.seal(t, impl, 20)
				if left := c.Unsealed(); left < 20 || left >= 20+x.step() || c.Index(1, 1).Sealed != c.Sealed() {
					t.Fatalf("%+v: %d rows are left", x, left)
				}
				c.check(t)
			}
		}
	}
}

// Whatever a cache goes through, its rows are the text's and its blocks those of the rows; and those of a cache that was only
// ever given the rows that are there.
func TestIndexFollowsTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SampledFrom(indexes).Draw(t, "index")
		typ := rapid.SampledFrom([]quant.Type{quant.F32, quant.F16, quant.Q8_0}).Draw(t, "type")
		leave := rapid.IntRange(0, 90).Draw(t, "leave")
		cfg, impl := shaped(x, typ), fastest()
		cfg.Layers, cfg.Heads = 1, 2
		c := newIndexed(t, cfg)
		c.read(t, 1, 0)
		var kept *Snapshot
		var text [][]stored
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"read", "read", "seal", "seal", "truncate", "snapshot", "restore", "save"}).Draw(t, "do") {
			case "read":
				c.read(t, rapid.IntRange(1, 300).Draw(t, "rows"), step)
			case "seal":
				c.seal(t, impl, leave)
				fresh := newIndexed(t, cfg)
				fresh.text = make([][]stored, len(c.text))
				for at := range c.text[0] {
					if _, err := fresh.Append([]int32{int32(2 * at)}); err != nil {
						t.Fatal(err)
					}
					for i := range c.text {
						if err := fresh.Put(0, i, at, c.text[i][at].key, c.text[i][at].value); err != nil {
							t.Fatal(err)
						}
					}
				}
				fresh.seal(t, impl, leave)
				got, pages := save(t, c.Snapshot())
				want, wantPages := save(t, fresh.Snapshot())
				if !slices.Equal(got, want) || !slices.Equal(pages, wantPages) {
					t.Fatalf("the blocks of %d rows are others than those of a new cache", c.Seen())
				}
			case "truncate":
				c.truncate(t, rapid.IntRange(0, c.Seen()).Draw(t, "to"))
			case "snapshot":
				kept, text = c.Snapshot(), nil
				for i := range c.text {
					text = append(text, slices.Clone(c.text[i]))
				}
			case "restore":
				if kept == nil {
					continue
				}
				if err := c.Restore(kept); err != nil {
					t.Fatal(err)
				}
				for i := range c.text {
					c.text[i] = slices.Clone(text[i])
				}
			case "save":
				rows, pages := save(t, c.Snapshot())
				s, err := ReadSnapshot(cfg, rows, pages, nil)
				if err != nil {
					t.Fatal(err)
				}
				loaded := &indexed{mustNew(t, cfg), c.text}
				if err := loaded.Restore(s); err != nil {
					t.Fatal(err)
				}
				again, pagesAgain := save(t, loaded.Snapshot())
				if !slices.Equal(again, rows) || !slices.Equal(pagesAgain, pages) {
					t.Fatal("what was loaded is saved otherwise")
				}
				c = loaded
			}
			c.check(t)
		}
	})
}

// A row at a position that a clustered segment has already is refused, though it is not that of the segment's last row.
func TestPositionsAscendAfterClusters(t *testing.T) {
	c := newIndexed(t, shaped(Index{Summary: Centroid, Block: 16, Sinks: 16, Segment: 128}, quant.F32))
	c.read(t, 16+3*128, 0)
	c.seal(t, fastest(), 0)
	for _, n := range []int{16 + 2*128, 16 + 128, 17, 16} {
		c.truncate(t, n)
		last := int32(2*n - 2)
		if _, err := c.Append([]int32{last}); c.LastPosition() != last || err == nil {
			t.Errorf("%d rows: the last one is at position %d, that of another one there: error %v", n, c.LastPosition(), err)
		}
		c.check(t)
	}
}

// A snapshot keeps what it was taken of: clusters bring rows of pages in another order that it shares.
func TestSnapshotsAreNotClustered(t *testing.T) {
	c := newIndexed(t, shaped(Index{Summary: Centroid, Block: 16, Segment: 256}, quant.F16))
	c.read(t, 300, 0)
	before := c.Snapshot()
	rows, pages := save(t, before)
	c.seal(t, fastest(), 10)
	sealed := c.Snapshot()
	sealedRows, sealedPages := save(t, sealed)
	if c.Sealed() != 256 || slices.Equal(sealedRows, rows) {
		t.Fatalf("%d rows are in clusters", c.Sealed())
	}
	c.truncate(t, 100)
	c.read(t, 20, 7)
	for _, s := range []struct {
		of          *Snapshot
		rows, pages []byte
	}{{before, rows, pages}, {sealed, sealedRows, sealedPages}} {
		if got, gotPages := save(t, s.of); !slices.Equal(got, s.rows) || !slices.Equal(gotPages, s.pages) {
			t.Fatal("a snapshot has changed")
		}
	}
}

// Equal keys are one cluster, in the order of the text.
func TestClustersOfEqualKeys(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		c := newIndexed(t, shaped(Index{Summary: Centroid, Block: 16, Sinks: 16, Segment: 64}, quant.F32))
		c.read(t, 16+2*64, 0)
		for i := range c.text {
			for at := range c.text[i] {
				r := &c.text[i][at]
				r.key = c.text[i][0].key
				if err := c.Put(i/2, i%2, at, r.key, r.value); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.seal(t, impl, 0)
		if n := c.Index(0, 0).Blocks.Rows(); n != 2 {
			t.Fatalf("%s: %d clusters of two segments of equal keys", impl.Name, n)
		}
		c.check(t)
	}
}

// Keys as large as a half can be have summaries that are halves, though decoding them may have rounded up.
func TestSummariesOfLargeKeys(t *testing.T) {
	for _, x := range indexes {
		c := newIndexed(t, shaped(x, quant.Q8_0))
		c.read(t, 300, 0)
		large := make([]float32, 64)
		for i := range large {
			large[i] = 65504 * float32(1-2*(i%2))
		}
		for i := range c.text {
			r := stored{encode(t, quant.Q8_0, large[:32]), encode(t, quant.Q8_0, large)}
			for at := range c.text[i] {
				if err := c.Put(i/2, i%2, at, r.key, r.value); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.seal(t, fastest(), 0)
		index := c.Index(0, 1)
		rows, _ := storedRows(&index.Blocks)
		for b, r := range rows {
			for _, v := range append(decoded(t, quant.F16, r.key, index.Blocks.KeyDim), decoded(t, quant.F16, r.value, index.Blocks.ValueDim)...) {
				if !(math.Abs(math.Abs(v)-65504) <= 64) {
					t.Fatalf("%+v: a value of summary %d is %v", x, b, v)
				}
			}
		}
	}
}

func TestIndexRefusals(t *testing.T) {
	for want, x := range map[string]Index{
		"blocks of 16 rows without a summary":              {Block: 16},
		"blocks of 0 rows after 0 sinks":                   {Summary: Mean},
		"blocks of 16 rows after 8 sinks":                  {Summary: Mean, Block: 16, Sinks: 8},
		"blocks of 24 rows: want whole groups":             {Summary: Bounds, Block: 24},
		"clusters of 32 rows within segments of 16":        {Summary: Centroid, Block: 32, Segment: 16},
		"clusters of 16 rows within segments of 40":        {Summary: Centroid, Block: 16, Segment: 40},
		"segments of 64 rows, but blocks that are no clus": {Summary: Mean, Block: 16, Segment: 64},
	} {
		if _, err := New(shaped(x, quant.F32)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v", x, err)
		}
	}
	cfg := shaped(indexes[0], quant.F32)
	cfg.Marks = 1
	if _, err := New(cfg); err == nil {
		t.Error("rows that a policy may drop can be in blocks")
	}
	c := newIndexed(t, shaped(indexes[0], quant.F32))
	c.read(t, 50, 0)
	if err := c.Keep(0, 0, []int32{1, 2}); err == nil {
		t.Error("rows in blocks can be dropped")
	}
	other := mustNew(t, shaped(indexes[1], quant.F32))
	if err := other.Restore(c.Snapshot()); err == nil {
		t.Error("a snapshot with other blocks can be restored")
	}
	if _, err := New(shaped(Index{Summary: Centroid, Block: 16, Segment: 16}, quant.Q8_0)); err != nil {
		t.Error(err)
	}
}

func TestDamagedBlocksAreRefused(t *testing.T) {
	for _, x := range []Index{
		{Summary: Mean, Block: 16, Sinks: 16}, {Summary: Bounds, Block: 16}, {Summary: Landmark, Block: 9},
		{Summary: Centroid, Block: 16, Sinks: 16, Segment: 64},
	} {
		t.Run(fmt.Sprint(x.Summary), func(t *testing.T) {
			cfg := small
			cfg.Heads, cfg.Index = 1, x
			c := newIndexed(t, cfg)
			c.read(t, PageRows+30, 0)
			c.seal(t, fastest(), 5)
			rows, pages := save(t, c.Snapshot())
			refuseDamage(t, c.Cache, rows, pages)
		})
	}
}

// Numbers that contradict each other are refused, each for what it is.
func TestBlocksThatContradictTheRowsAreRefused(t *testing.T) {
	cfg := Config{Layers: 1, Heads: 2, KeyDim: 4, ValueDim: 2, Type: quant.F32, Index: Index{Summary: Centroid, Block: 16, Sinks: 16, Segment: 64}}
	c := newIndexed(t, cfg)
	c.read(t, 16+2*64+10, 0)
	c.seal(t, fastest(), 0)
	for want, spoil := range map[string]func(s *Snapshot){
		"number 4 begins with row 80": func(s *Snapshot) { s.lists[1].sealed = 80 },
		"none begins with row":        func(s *Snapshot) { s.lists[0].blocks.rows = 1 },
		"they end at row 143":         func(s *Snapshot) { s.lists[0].sealed-- },
		"number 0 begins with row 17": func(s *Snapshot) { s.lists[0].blocks.pages[0].positions[0]++ },
		"number 1 begins with row 16": func(s *Snapshot) { s.lists[0].blocks.pages[0].positions[1] = 16 },
		"up to row 208 of 154":        func(s *Snapshot) { s.lists[0].sealed += 64 },
		"0 of them":                   func(s *Snapshot) { s.lists[0].blocks.rows = 0 },
		"5 rows of 159 are missing":   func(s *Snapshot) { s.seen, s.evicted = s.seen+5, s.seen },
		"position 0 after":            func(s *Snapshot) { s.lists[0].wide.pages[0].positions[20] = 0 },
		"in the rows from":            func(s *Snapshot) { s.lists[1].wide.pages[1].positions[20] = 2 },
	} {
		fresh := mustNew(t, cfg)
		if err := fresh.Restore(c.Snapshot()); err != nil {
			t.Fatal(err)
		}
		s := fresh.Snapshot()
		for i := range s.lists { // pages of its own
			for _, p := range []*sharedRows{&s.lists[i].wide, &s.lists[i].blocks} {
				for j, pg := range p.pages {
					own := *pg
					own.positions = slices.Clone(pg.positions)
					p.pages[j] = &own
				}
			}
		}
		spoil(s)
		rows, pages := save(t, s)
		if _, err := ReadSnapshot(cfg, rows, pages, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: error %v", want, err)
		}
	}
}

// After Truncate there may be blocks with rows that are now among the newest. They are taken apart.
func TestBlocksOfTheNewestRowsAreTakenApart(t *testing.T) {
	const leave = 50
	for _, x := range indexes {
		c := newIndexed(t, shaped(x, quant.F32))
		c.read(t, 500, 0)
		c.seal(t, fastest(), leave)
		c.truncate(t, c.Sealed()+leave/2)
		c.seal(t, fastest(), leave)
		if left := c.Unsealed(); left < leave || left >= leave+x.step() {
			t.Errorf("%+v: %d rows are left, want at least %d", x, left, leave)
		}
		c.check(t)
		c.seal(t, fastest(), 1000)
		if c.Sealed() != 0 {
			t.Errorf("%+v: %d rows are in blocks where all are to be left", x, c.Sealed())
		}
		c.check(t)
	}
}
