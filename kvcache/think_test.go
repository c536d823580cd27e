package kvcache

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
	"pgregory.net/rapid"
)

// thinking makes an empty cache and the eviction that prunes its keys.
func thinking(t interface{ Fatal(...any) }, cfg Config, text string, budget []int) (*Cache, *Eviction) {
	e, err := NewEviction(text, budget)
	if err != nil {
		t.Fatal(err)
	}
	shape, err := e.Shape(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return mustNew(t, shape), e
}

func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// read appends n rows, of noise, and notes their queries as a block's; it returns these, [layers·heads][n, group, keyDim].
func read(t interface{ Fatal(...any) }, c *Cache, e *Eviction, rng *rand.Rand, n, group int) [][]float32 {
	positions := make([]int32, n)
	for i := range positions {
		positions[i] = c.LastPosition() + 1 + int32(i)
	}
	first, err := c.Append(positions)
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]float32, len(c.lists))
	noted := min(e.Queries(c), n)
	for i := range c.lists {
		for r := range n {
			key, value := normals(rng, c.cfg.KeyDim), normals(rng, c.cfg.ValueDim)
			if err := c.Put(i/c.cfg.Heads, i%c.cfg.Heads, first+r, encode(t, c.cfg.Type, key), encode(t, c.cfg.Type, value)); err != nil {
				t.Fatal(err)
			}
		}
		stride := group * c.cfg.KeyDim
		all[i] = normals(rng, n*stride)
		if noted > 0 {
			c.Note(i/c.cfg.Heads, i%c.cfg.Heads, positions[n-noted:], all[i][(n-noted)*stride:], stride, group)
		}
	}
	return all
}

func prune(t interface{ Fatal(...any) }, c *Cache, e *Eviction) {
	for l := range c.cfg.Layers {
		if err := e.Prune(c, l); err != nil {
			t.Fatal(err)
		}
	}
	e.Pruned(c)
}

// rowsOf are the keys and values of a head, [rows][dim], as a policy sees them.
func rowsOf(t interface{ Fatal(...any) }, c *Cache, layer, head int) (keys, values [][]float32) {
	rows := c.RowsOf(layer, head)
	next := 0
	rows.Keys(func(first int, group []float32) {
		if first != next {
			t.Fatal(fmt.Sprintf("a group of keys begins at %d, not at %d", first, next))
		}
		next += kernels.KeyGroup
		for lane := range min(kernels.KeyGroup, rows.Len()-first) {
			key := make([]float32, c.cfg.KeyDim)
			for i := range key {
				key[i] = group[i*kernels.KeyGroup+lane]
			}
			keys = append(keys, key)
		}
	})
	for i := range rows.Len() {
		value := make([]float32, c.cfg.ValueDim)
		if err := rows.Value(i, value); err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if len(keys) != rows.Len() {
		t.Fatal(fmt.Sprintf("%d keys of %d rows", len(keys), rows.Len()))
	}
	return keys, values
}

// The score of a channel is ‖Q_c K_cᵀ‖² by all its inner products, over the 32 last queries and the keys: divided by their
// number, and the mean over the heads that share the KV head.
func TestChannelScoreIsTheFrobeniusNorm(t *testing.T) {
	const group, dim = 3, 64
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		for _, blocks := range [][]int{{200}, {5, 40}, {33, 1, 7, 2}, {20}} {
			rng := rand.New(rand.NewPCG(7, uint64(len(blocks))))
			c, e := thinking(t, Config{Layers: 1, Heads: 2, KeyDim: dim, ValueDim: 32, Type: typ}, "full+think:ratio=0.5", nil)
			var queries [2][]float32
			for _, n := range blocks {
				for h, q := range read(t, c, e, rng, n, group) {
					queries[h] = append(queries[h], q...)
				}
			}
			for h := range queries {
				q := queries[h]
				q = q[max(0, len(q)-32*group*dim):]
				asked := len(q) / (group * dim)
				keys, _ := rowsOf(t, c, 0, h)
				scores := c.channelScores(0, h)
				for ch, got := range scores {
					var norm float64
					for i := range asked * group {
						for _, key := range keys {
							product := float64(q[i*dim+ch]) * float64(key[ch])
							norm += product * product / group
						}
					}
					if want := norm / float64(asked*len(keys)); !(math.Abs(got-want) <= 1e-5*want) {
						t.Fatalf("%s, blocks %v, head %d, channel %d: score %v, want %v", typ, blocks, h, ch, got, want)
					}
				}
				before := slices.Clone(scores)
				kept := chooseChannels(scores, c.cfg.Pruned)
				if len(kept) != dim/2 || !slices.IsSorted(kept) {
					t.Fatalf("%d channels stay: %v", len(kept), kept)
				}
				worst, best := math.Inf(1), math.Inf(-1)
				for ch, s := range before {
					if slices.Contains(kept, int32(ch)) {
						worst = min(worst, s)
					} else {
						best = max(best, s)
					}
				}
				if best > worst {
					t.Fatalf("a channel of score %v went, one of %v stays", best, worst)
				}
			}
		}
	}
}

func TestChannelsOfEqualScores(t *testing.T) {
	nan := math.NaN()
	for _, x := range []struct {
		scores []float64
		pruned int
		want   []int32
	}{
		{[]float64{1, 1, 1, 1}, 1, []int32{0, 1, 2}},
		{[]float64{0, 2, 0, 2}, 3, []int32{1}},
		{[]float64{3, 1, 2}, 0, []int32{0, 1, 2}},
		{[]float64{nan, 1, math.Inf(1), 0}, 2, []int32{1, 2}},
	} {
		if got := chooseChannels(slices.Clone(x.scores), x.pruned); !slices.Equal(got, x.want) {
			t.Errorf("of %v without %d: %v, want %v", x.scores, x.pruned, got, x.want)
		}
	}
}

// What stays of a key keeps its bits, and all of its row does else; keys in blocks come close. Memory shrinks by what went.
func TestPrunedRowsKeepTheirBits(t *testing.T) {
	const dim, rows = 64, 4*PageRows + 77
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		c, e := thinking(t, Config{Layers: 2, Heads: 2, KeyDim: dim, ValueDim: 32, Type: typ}, "full+think:ratio=0.5,recent=40", nil)
		read(t, c, e, rand.New(rand.NewPCG(8, 1)), rows, 2)
		type head struct {
			keys, values [][]float32
			positions    []int32
		}
		take := func(i int) (h head) {
			h.keys, h.values = rowsOf(t, c, i/2, i%2)
			r := c.RowsOf(i/2, i%2)
			for j := range r.Len() {
				h.positions = append(h.positions, r.Position(j))
			}
			return h
		}
		var before []head
		for i := range c.lists {
			before = append(before, take(i))
		}
		if now, whole := c.Bytes(), 4*5*c.wide.pageBytes(); now != whole {
			t.Fatalf("%s: %d bytes, want %d", typ, now, whole)
		}
		prune(t, c, e)
		if now, want := c.Bytes(), 4*(5*c.narrow.pageBytes()+c.wide.pageBytes()); now != want {
			t.Fatalf("%s: %d bytes, want %d", typ, now, want)
		}
		key, _ := typ.RowBytes(dim)
		if 2*c.narrow.key != key {
			t.Fatalf("%s: narrow keys of %d bytes, whole ones of %d", typ, c.narrow.key, key)
		}
		for i := range c.lists {
			after, view := take(i), c.View(i/2, i%2)
			channels := view.Channels()
			if len(channels) != dim/2 {
				t.Fatalf("%s: %d channels", typ, len(channels))
			}
			if fmt.Sprint(after.values, after.positions) != fmt.Sprint(before[i].values, before[i].positions) {
				t.Fatalf("%s: values or positions of list %d changed", typ, i)
			}
			for r, key := range after.keys {
				most := 0.
				for _, v := range before[i].keys[r] {
					most = max(most, math.Abs(float64(v)))
				}
				for ch, got := range key {
					want, slip := before[i].keys[r][ch], 0.
					if r < rows-40 {
						if !slices.Contains(channels, int32(ch)) {
							want = 0
						} else if typ == quant.Q8_0 {
							slip = 0.501 * most / 124 // half a step: the encoder takes the best of the scales that make the largest 124 to 127
						}
					}
					if !(math.Abs(float64(got-want)) <= slip) {
						t.Fatalf("%s: channel %d of key %d of list %d is %v, was %v", typ, ch, r, i, got, want)
					}
				}
			}
		}
	}
}

// Values as large as a block can hold, which decoding rounds up, can be encoded again.
func TestPruningTheLargestKeys(t *testing.T) {
	c, e := thinking(t, Config{Layers: 1, Heads: 1, KeyDim: 64, ValueDim: 32, Type: quant.Q8_0}, "full+think:ratio=0.5,recent=1", nil)
	if _, err := c.Append([]int32{0, 1}); err != nil {
		t.Fatal(err)
	}
	key := make([]float32, 64)
	for i := range key {
		key[i] = 65504
	}
	for r := range 2 {
		if err := c.Put(0, 0, r, encode(t, quant.Q8_0, key), encode(t, quant.Q8_0, key[:32])); err != nil {
			t.Fatal(err)
		}
	}
	c.Note(0, 0, []int32{1}, key, 64, 1)
	prune(t, c, e)
	keys, _ := rowsOf(t, c, 0, 0)
	if got := keys[0][0]; !(math.Abs(float64(got)-65504) < 300) || keys[0][63] != 0 {
		t.Errorf("%v", keys[0])
	}
}

// thinkReference is a cache as one would write it down, with keys whose pruned channels are 0.
type thinkReference struct {
	heads        [][]thinkRow
	seen, narrow int // narrow: rows before this number have been pruned
	evicted      int
	last         int32
	channels     [][]int32
}

type thinkRow struct {
	position   int32
	key, value []float32
	pruned     bool
}

func (r *thinkReference) clone() *thinkReference {
	c := *r
	c.heads, c.channels = nil, slices.Clone(r.channels)
	for _, rows := range r.heads {
		c.heads = append(c.heads, slices.Clone(rows))
	}
	return &c
}

func TestPrunedCacheAgainstReference(t *testing.T) {
	cfg := Config{Layers: 1, Heads: 2, KeyDim: 6, ValueDim: 2, Type: quant.F32}
	rapid.Check(t, func(t *rapid.T) {
		recent := rapid.IntRange(1, 50).Draw(t, "recent")
		c, e := thinking(t, cfg, fmt.Sprintf("full+think:ratio=0.5,recent=%d,interval=%d", recent, rapid.IntRange(1, 200).Draw(t, "interval")), nil)
		rng := rand.New(rand.NewPCG(9, 1))
		want := &thinkReference{heads: make([][]thinkRow, 2), channels: make([][]int32, 2), last: -1}
		type saved struct {
			snapshot *Snapshot
			contents *thinkReference
		}
		var snapshots []saved
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				n := rapid.IntRange(1, 150).Draw(t, "rows")
				read(t, c, e, rng, n, 1)
				for h := range want.heads {
					keys, values := rowsOf(t, c, 0, h)
					for i := len(keys) - n; i < len(keys); i++ {
						want.heads[h] = append(want.heads[h], thinkRow{want.last + 1 + int32(i-len(keys)+n), keys[i], values[i], false})
					}
				}
				want.seen, want.last = want.seen+n, want.last+int32(n)
			},
			"prune": func(t *rapid.T) {
				if !e.Old(c) {
					return
				}
				prune(t, c, e)
				for h, rows := range want.heads {
					view := c.View(0, h)
					if want.channels[h] == nil {
						want.channels[h] = c.list(0, h).channels
					}
					if ch := view.Channels(); ch != nil && !slices.Equal(ch, want.channels[h]) {
						t.Fatalf("channels %v became %v", want.channels[h], ch)
					}
					for i := range max(0, len(rows)-recent) {
						key := make([]float32, cfg.KeyDim)
						for _, ch := range want.channels[h] {
							key[ch] = rows[i].key[ch]
						}
						rows[i].key, rows[i].pruned = key, true
					}
				}
				want.narrow = max(want.narrow, want.seen-recent)
			},
			"keep": func(t *rapid.T) {
				for h, rows := range want.heads {
					var keep []int32
					var left []thinkRow
					share := rapid.IntRange(0, 4).Draw(t, "quarters")
					for i, row := range rows {
						if share == 4 || rng.IntN(4) < share {
							keep, left = append(keep, int32(i)), append(left, row)
						}
					}
					if err := c.Keep(0, h, keep); err != nil {
						t.Fatal(err)
					}
					want.heads[h] = left
				}
				c.Evicted()
				want.evicted = want.seen
			},
			"truncate": func(t *rapid.T) {
				n := rapid.IntRange(0, c.Seen()).Draw(t, "rows")
				if rapid.Bool().Draw(t, "a few") {
					n = max(0, c.Seen()-rapid.IntRange(0, recent).Draw(t, "few"))
				}
				err := c.Truncate(n)
				if n > 0 && n < max(want.evicted, want.narrow) {
					if !errors.Is(err, ErrEvicted) {
						t.Fatalf("went back to %d rows of %d, after those before %d were dropped or those before %d pruned: error %v",
							n, want.seen, want.evicted, want.narrow, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				want.last = -1
				for h, rows := range want.heads {
					rows = rows[:max(0, len(rows)-(want.seen-n))]
					if n == 0 {
						rows, want.channels[h] = nil, nil
					}
					if i := len(rows); i > 0 {
						want.last = max(want.last, rows[i-1].position)
					}
					want.heads[h] = rows
				}
				if want.seen = n; n == 0 {
					want.evicted, want.narrow = 0, 0
				}
			},
			"snapshot": func(t *rapid.T) {
				snapshots = append(snapshots, saved{c.Snapshot(), want.clone()})
			},
			"restore": func(t *rapid.T) {
				if len(snapshots) == 0 {
					t.Skip("no snapshot yet")
				}
				s := rapid.SampledFrom(snapshots).Draw(t, "snapshot")
				if err := c.Restore(s.snapshot); err != nil {
					t.Fatal(err)
				}
				want = s.contents.clone()
			},
			"": func(t *rapid.T) { checkPruned(t, c, want) },
		})
	})
}

func checkPruned(t *rapid.T, c *Cache, want *thinkReference) {
	var bytes int64
	for h, rows := range want.heads {
		keys, values := rowsOf(t, c, 0, h)
		view, all, narrow := c.View(0, h), c.RowsOf(0, h), 0
		if len(keys) != len(rows) || view.Rows() != len(rows) {
			t.Fatalf("%d rows, a view of %d, want %d", len(keys), view.Rows(), len(rows))
		}
		at := 0
		for i := range view.Spans {
			s := &view.Spans[i]
			dim, size := view.Key(s)
			if s.First != at || size != 4*dim || len(s.Keys) != kernels.WholeGroups(s.Rows())*size {
				t.Fatalf("a span of %d rows from %d, want %d, with %d bytes of keys", s.Rows(), s.First, at, len(s.Keys))
			}
			for j, pos := range s.Positions {
				if row := rows[at+j]; pos != row.position || row.pruned != (s.Channels != nil) {
					t.Fatalf("row %d is at %d, want %d; its channels: %v", at+j, pos, row.position, s.Channels)
				}
			}
			at += s.Rows()
		}
		for i, row := range rows {
			if !slices.Equal(keys[i], row.key) || !slices.Equal(values[i], row.value) || all.Position(i) != row.position {
				t.Fatalf("row %d of %d: key %v, want %v", i, len(rows), keys[i], row.key)
			}
			if row.pruned {
				narrow++
			}
		}
		bytes += int64(pagesOf(narrow))*c.narrow.pageBytes() + int64(pagesOf(len(rows)-narrow))*c.wide.pageBytes()
	}
	if c.Bytes() != bytes || c.PeakBytes() < bytes {
		t.Fatalf("%d bytes, want %d; peak %d", c.Bytes(), bytes, c.PeakBytes())
	}
	if c.Seen() != want.seen || c.LastPosition() != want.last {
		t.Fatalf("%d rows up to %d, want %d up to %d", c.Seen(), c.LastPosition(), want.seen, want.last)
	}
}

// A block that is taken out again leaves no query behind, and takes none along.
func TestQueriesOfABlockThatIsTakenOut(t *testing.T) {
	cfg := Config{Layers: 1, Heads: 1, KeyDim: 8, ValueDim: 8, Type: quant.F32}
	c, e := thinking(t, cfg, "full+think:ratio=0.5", nil)
	rng := rand.New(rand.NewPCG(10, 1))
	for _, n := range []int{30, 20, 1} {
		read(t, c, e, rng, n, 2)
		want := c.channelScores(0, 0)
		for _, more := range []int{1, 31, 100} {
			s := c.Snapshot()
			read(t, c, e, rng, more, 2)
			if err := c.Truncate(c.Seen() - more); err != nil {
				t.Fatal(err)
			}
			if got := c.channelScores(0, 0); !slices.Equal(got, want) {
				t.Fatalf("after %d rows more: %v, want %v", more, got, want)
			}
			read(t, c, e, rng, more, 2)
			if err := c.Restore(s); err != nil {
				t.Fatal(err)
			}
			if got := c.channelScores(0, 0); !slices.Equal(got, want) {
				t.Fatalf("restored: %v, want %v", got, want)
			}
		}
		if taken, most := c.MarkBytes(), e.MarkBytes(cfg, 100); taken < 1 || taken > most {
			t.Fatalf("%d bytes of queries, planned were %d", taken, most)
		}
	}
}

// However rows come, and whatever a policy drops, a cache never takes more than was planned.
func TestPrunedCacheTakesWhatIsPlanned(t *testing.T) {
	cfg := Config{Layers: 1, Heads: 2, KeyDim: 64, ValueDim: 8, Type: quant.F16}
	rapid.Check(t, func(t *rapid.T) {
		block := rapid.IntRange(1, 600).Draw(t, "block")
		text, budget := "full", []int(nil)
		if rapid.Bool().Draw(t, "bounded") {
			text, budget = "h2o:heads="+rapid.SampledFrom([]string{"uniform", "pair"}).Draw(t, "heads"), []int{rapid.IntRange(20, 700).Draw(t, "budget")}
		}
		text += fmt.Sprintf("+think:ratio=%v,recent=%d,interval=%d", rapid.SampledFrom([]float64{0.05, 0.4, 0.9}).Draw(t, "ratio"),
			rapid.IntRange(1, 200).Draw(t, "recent"), rapid.IntRange(1, 200).Draw(t, "interval"))
		c, e := thinking(t, cfg, text, budget)
		rng := rand.New(rand.NewPCG(11, 1))
		for range rapid.IntRange(1, 6).Draw(t, "blocks") {
			n, oneByOne := rapid.IntRange(1, block).Draw(t, "rows"), rapid.Bool().Draw(t, "one by one")
			if oneByOne {
				for range n {
					if _, err := e.Evict(c, 0, 1); err != nil {
						t.Fatal(err)
					}
					if e.Old(c) {
						prune(t, c, e)
					}
					read(t, c, e, rng, 1, 1)
				}
				continue
			}
			read(t, c, e, rng, n, 1)
			if n, err := e.Evict(c, 0, 0); err != nil {
				t.Fatal(err)
			} else if n > 0 {
				c.Evicted()
			}
			if e.Old(c) {
				prune(t, c, e)
			}
		}
		planned, err := e.Bytes(cfg, c.Seen(), block)
		if err != nil {
			t.Fatal(err)
		}
		if c.PeakBytes() > planned {
			t.Fatalf("%s, blocks of %d: %d bytes, planned were %d", text, block, c.PeakBytes(), planned)
		}
	})
}

// What is planned for a long text is little more than its narrow rows.
func TestPlannedBytesArePruned(t *testing.T) {
	cfg := Config{Layers: 3, Heads: 2, KeyDim: 128, ValueDim: 128, Type: quant.F16}
	e, err := NewEviction("full+think:ratio=0.5", nil)
	if err != nil {
		t.Fatal(err)
	}
	const tokens, block = 100_000, 512
	planned, err := e.Bytes(cfg, tokens, block)
	if err != nil {
		t.Fatal(err)
	}
	row := int64(3 * 2 * (128 + 256 + 4))
	if least := row * tokens; planned < least || planned > least+least/50 {
		t.Errorf("%d bytes for %d tokens of %d", planned, tokens, row)
	}
	for _, tokens := range []int{math.MaxInt, 1 << 60} {
		if n, err := e.Bytes(cfg, tokens, math.MaxInt); err == nil {
			t.Errorf("%d tokens take %d bytes", tokens, n)
		}
	}
}

func TestThinkIsChecked(t *testing.T) {
	for _, x := range []struct {
		text, say string
		budget    []int
	}{
		{"think", "write full+think", nil},
		{"think:ratio=0.4", "write full+think:ratio=0.4", []int{100}},
		{"full", "nothing to choose", nil},
		{"full+think", "keeps every row", []int{100}},
		{"full:recent=3+think", "no parameters, and no recent", nil},
		{"full+think:ratio=1", "not a number from 0", nil},
		{"full+think:ratio=-0.1", "not a number from 0", nil},
		{"full+think:recent=0", "not a whole number", nil},
		{"full+think:window=3", "no parameter window", nil},
		{"full+think+think", "nothing called", nil},
		{"full+thin", "nothing called \"thin\"", nil},
		{"h2o+", "nothing called \"\"", []int{100}},
		{"h2o+think", "no budget", nil},
		{"nothing+think", "no policy \"nothing\"", []int{100}},
		{"window+think", "positions=text", []int{100}},
		{"h2o:positions=packed+think:ratio=0.5", "positions=text", []int{100}},
	} {
		if e, err := NewEviction(x.text, x.budget); err == nil || e != nil || !strings.Contains(err.Error(), x.say) {
			t.Errorf("%s: error %v, want one about %s", x.text, err, x.say)
		}
	}
	for _, text := range []string{"h2o+think", "h2o:recent=8+think:ratio=4e-1", "h2o+think:ratio=4e+0,ratio=1", "window:positions=text+think:ratio=0.5"} {
		e, err := NewEviction(text, []int{100})
		if bad := strings.Contains(text, "e+0"); (err != nil) != bad || !bad && (!e.Prunes() || e.Name() != text) {
			t.Errorf("%s: error %v", text, err)
		}
	}
	for _, x := range []struct {
		dim, pruned int
		ratio       string
		typ         quant.Type
	}{
		{128, 51, "0.4", quant.F16}, {100, 29, "0.29", quant.F32}, {64, 63, "0.99", quant.F32}, {128, 32, "0.4", quant.Q8_0},
		{64, 32, "0.5", quant.Q8_0}, {128, 0, "0", quant.F16}, {128, 96, "0.99", quant.Q8_0},
		{64, -1, "0.4", quant.Q8_0}, {32, -1, "0.99", quant.Q8_0}, {32, -1, "0.01", quant.F16}, {1, -1, "0.9", quant.F32},
	} {
		e, err := NewEviction("full+think:ratio="+x.ratio, nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := e.Shape(Config{Layers: 1, Heads: 1, KeyDim: x.dim, ValueDim: 32, Type: x.typ})
		if (err != nil) != (x.pruned < 0) || err == nil && cfg.Pruned != x.pruned {
			t.Errorf("ratio %s of %d, %s: %d, want %d; error %v", x.ratio, x.dim, x.typ, cfg.Pruned, x.pruned, err)
		}
		if err == nil {
			mustNew(t, cfg)
		}
	}
	for _, pruned := range []int{-1, 4, 5} {
		cfg := small
		if cfg.Pruned = pruned; pruned < 0 || pruned >= cfg.KeyDim {
			if _, err := New(cfg); err == nil {
				t.Errorf("%d channels of %d were pruned", pruned, cfg.KeyDim)
			}
		}
	}
}

// A row's number says where it may be written: not where keys are pruned.
func TestPrunedRowsCannotBePut(t *testing.T) {
	c, e := thinking(t, Config{Layers: 1, Heads: 1, KeyDim: 4, ValueDim: 2, Type: quant.F32}, "full+think:ratio=0.5", nil)
	read(t, c, e, rand.New(rand.NewPCG(12, 1)), 100, 1)
	prune(t, c, e)
	view := c.View(0, 0)
	keys := bytes.Clone(view.Spans[0].Keys)
	for first, ok := range map[int]bool{0: false, 67: false, 68: true, 99: true, 100: false} {
		if err := c.Put(0, 0, first, make([]byte, 16), make([]byte, 8)); (err == nil) != ok {
			t.Errorf("row %d was put: error %v", first, err)
		}
	}
	if !bytes.Equal(keys, view.Spans[0].Keys) {
		t.Error("pruned keys were written to")
	}
}
