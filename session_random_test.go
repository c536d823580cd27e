package mneme

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
	"pgregory.net/rapid"
)

// past is how a session came to hold what it holds: what a fresh one has to do for the same.
type past struct {
	text    []int32
	pending int // of the text's last tokens, how many the model has not read
	evicted int // how many it had read when rows were last dropped
	steps   []step
}

// step is one reading, or the way back to a length if nothing is read.
type step struct {
	read []int32
	back int
}

func (p *past) clone() past {
	return past{slices.Clone(p.text), p.pending, p.evicted, slices.Clone(p.steps)}
}

// read notes that tokens were read, which begin with the pending ones.
func (p *past) read(tokens []int32) {
	if len(tokens) > 0 {
		p.text = append(p.text[:len(p.text)-p.pending:len(p.text)-p.pending], tokens...)
		p.steps = append(p.steps, step{read: slices.Clone(tokens)})
		p.pending = 0
	}
}

// back notes that the text was taken back to n tokens.
func (p *past) back(n int) {
	if n < len(p.text)-p.pending {
		p.steps = append(p.steps, step{back: n})
		p.pending, p.evicted = 0, min(p.evicted, n)
	} else {
		p.pending -= len(p.text) - n
	}
	p.text = p.text[:n:n]
	if len(p.text) == p.pending {
		p.steps = nil // it is as fresh as any
	}
}

// machine is a session that is asked for things at random, beside what is to be expected of it.
type machine struct {
	model   *Model
	policy  string // "" for a full cache
	budget  int
	opening string // how blocks are opened behind landmarks: the method of attention; "" for no landmarks
	memory  int    // how many of these blocks are kept; 0: all
	chunk   int    // of a model with a memory of chunks; 0: it has none
	block   int
	path    string
	session *Session
	past    past
	steps   []int // at which rows were dropped, as the session tells

	saved     *past
	snapshots []*Snapshot
	pasts     []past // of the snapshots
}

func (m *machine) options() []SessionOption {
	opts := []SessionOption{WithPrefillBlock(m.block), WithTrace(func(e Eviction) { m.steps = append(m.steps, e.Step) })}
	if m.policy == "" {
		return append(opts, WithAttention(m.opening))
	}
	return append(opts, WithPolicy(m.policy), WithKVBudget(m.budget))
}

func (m *machine) fresh(t *rapid.T) *Session {
	s, err := m.model.NewSession(m.options()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attempt does something with the session that may be refused: then nothing may have changed.
func (m *machine) attempt(t *rapid.T, do func() error) error {
	before := contents(t, m.session)
	m.steps = nil
	err := do()
	if err != nil && contents(t, m.session) != before {
		t.Fatalf("%v, and the session was changed", err)
	}
	if n := len(m.steps); n > 0 {
		m.past.evicted = m.steps[n-1]
	}
	return err
}

// pendingThen is what the session reads if it is given tokens.
func (m *machine) pendingThen(tokens []int32) []int32 {
	return slices.Concat(m.past.text[len(m.past.text)-m.past.pending:], tokens)
}

func someIDs(t *rapid.T, label string, least, most int) []int32 {
	return rapid.SliceOfN(rapid.Int32Range(0, landmarkID-1), least, most).Draw(t, label)
}

// byText reports whether the session holds what its text alone says, in whatever pieces it came.
func (m *machine) byText() bool {
	return m.policy == "" && (m.opening == "" || strings.Contains(m.opening, "blocks=1000"))
}

// rowsKept is how many rows a KV head has at the least and at the most, on the average, of so many that were read.
func (m *machine) rowsKept(read int) (least, most int) {
	switch blocks := m.memory * (landmarkBlock + 1); {
	case m.chunk > 0: // those of the chunk, and rows that fill no page; a chunk's all, if the next one was taken out again
		return 0, min(read, m.chunk+kvcache.PageRows)
	case m.policy != "":
		return 0, m.budget
	case blocks > 0:
		return min(read, blocks), min(read, blocks+landmarkBlock+kvcache.PageRows+m.block+m.block/landmarkBlock+1)
	}
	return read, read
}

// gone reports whether the session cannot be taken back to n tokens of what it has read.
func (m *machine) gone(n int) bool {
	if read := len(m.past.text) - m.past.pending; m.chunk > 0 {
		return n > 0 && n < read && read-n > m.session.sequence.Memories()[1].Reach()
	}
	if m.memory == 0 || n == 0 {
		return n > 0 && n < m.past.evicted
	}
	c := m.session.sequence.Cache
	dropped := c.Seen() - c.Len(0, 0)
	return dropped > 0 && n < len(m.past.text)-m.past.pending && (n/landmarkBlock-m.memory)*(landmarkBlock+1) < dropped
}

// evaluate reads some tokens.
func (m *machine) evaluate(t *rapid.T) {
	ids := someIDs(t, "ids", 0, 70)
	seen := 0
	var each func(int, []float32) error
	if rapid.Bool().Draw(t, "with logits") {
		each = func(i int, _ []float32) error {
			if i != seen {
				t.Fatalf("logits after token %d come after those of %d tokens", i, seen)
			}
			seen++
			return nil
		}
	}
	if err := m.attempt(t, func() error { return m.session.Evaluate(context.Background(), ids, each) }); err != nil {
		t.Fatal(err)
	}
	if each != nil && seen != len(ids) {
		t.Fatalf("logits of %d tokens, want %d", seen, len(ids))
	}
	m.past.read(m.pendingThen(ids))
}

// evaluateInPart reads some tokens until the caller has enough: blocks are read whole.
func (m *machine) evaluateInPart(t *rapid.T) {
	ids := someIDs(t, "ids", 2, 70)
	end := rapid.IntRange(0, len(ids)-1).Draw(t, "end")
	enough := errors.New("enough")
	m.steps = nil
	err := m.session.Evaluate(context.Background(), ids, func(i int, _ []float32) error {
		if i == end {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("error %v, want the caller's", err)
	}
	if n := len(m.steps); n > 0 {
		m.past.evicted = m.steps[n-1]
	}
	all := m.pendingThen(ids)
	blocks := (end+m.past.pending)/m.block + 1
	m.past.read(all[:min(len(all), blocks*m.block)])
}

// refused asks for what cannot be done.
func (m *machine) refused(t *rapid.T) {
	ids := someIDs(t, "ids", 1, 70)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	bad := slices.Insert(slices.Clone(ids), rapid.IntRange(0, len(ids)).Draw(t, "bad"), 512)
	otherwise := []SessionOption{WithPolicy("window"), WithKVBudget(4096)}
	if m.opening != "" {
		otherwise = []SessionOption{WithAttention("landmark:blocks=7")}
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "landmark")] = landmarkID
	}
	if m.chunk > 0 {
		otherwise = []SessionOption{WithMemory("none")}
	}
	other, err := m.model.NewSession(otherwise...)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s := m.session
	for what, do := range map[string]func() error{
		"a token beyond the vocabulary":  func() error { return s.Evaluate(context.Background(), bad, nil) },
		"one alone":                      func() error { return s.Evaluate(context.Background(), []int32{-1}, nil) },
		"a context that has ended":       func() error { return s.Evaluate(over, ids, nil) },
		"a prompt beyond the vocabulary": func() error { return last(s.GenerateTokens(context.Background(), bad)) },
		"a generation that is over":      func() error { return last(s.GenerateTokens(over, ids)) },
		"less than nothing":              func() error { return last(s.GenerateTokens(context.Background(), ids, WithMaxTokens(-1))) },
		"back before the beginning":      func() error { return s.Truncate(-1) },
		"back beyond the end":            func() error { return s.Truncate(s.Len() + 1) },
		"a larger budget's snapshot":     func() error { return s.Restore(foreign) },
		"a file that is not there":       func() error { return s.Load(m.path + ".none") },
		"a folder that is not there":     func() error { return s.Save(filepath.Join(m.path+".none", "session")) },
	} {
		if err := m.attempt(t, do); err == nil {
			t.Fatalf("%s was accepted", what)
		}
	}
}

func last(tokens func(yield func(Token, error) bool)) (err error) {
	for _, e := range tokens {
		err = e
	}
	return err
}

// generate writes some tokens after a prompt.
func (m *machine) generate(t *rapid.T) {
	prompt, n := someIDs(t, "prompt", 0, 40), rapid.IntRange(0, 12).Draw(t, "n")
	opts := []Option{WithMaxTokens(n), WithIgnoreEnd(), WithTemperature(float64(rapid.IntRange(0, 1).Draw(t, "temperature"))), WithSeed(1)}
	if rapid.Bool().Draw(t, "continued") {
		opts = append(opts, WithSamplingContinued())
	}
	var written []int32
	err := m.attempt(t, func() error {
		for token, err := range m.session.GenerateTokens(context.Background(), prompt, opts...) {
			if err != nil {
				return err
			}
			if token.ID >= 0 {
				written = append(written, token.ID)
			}
		}
		return nil
	})
	all := m.pendingThen(prompt)
	if (err != nil) != (len(all) == 0) || err == nil && len(written) != n {
		t.Fatalf("%d tokens written after %d, want %d: error %v", len(written), len(all), n, err)
	}
	m.past.read(all)
	for i, id := range written {
		if i+1 < len(written) {
			m.past.read([]int32{id})
		} else {
			m.past.text, m.past.pending = append(m.past.text, id), 1
		}
	}
}

// truncate takes the text back, if its rows are there.
func (m *machine) truncate(t *rapid.T) {
	m.goBack(t, rapid.IntRange(0, len(m.past.text)).Draw(t, "n"), nil)
}

// reuse takes the text back to where another one differs.
func (m *machine) reuse(t *rapid.T) {
	same := rapid.IntRange(0, len(m.past.text)).Draw(t, "same")
	tokens := slices.Concat(m.past.text[:same], someIDs(t, "other", 0, 3))
	for same < min(len(tokens), len(m.past.text)) && tokens[same] == m.past.text[same] {
		same++
	}
	if same == len(tokens) {
		same = max(same-1, 0)
	}
	m.goBack(t, same, tokens)
}

// goBack takes the text back to n tokens, or has Reuse do so for the given ones.
func (m *machine) goBack(t *rapid.T, n int, reuse []int32) {
	gone := m.gone(n)
	err := m.attempt(t, func() error {
		if reuse == nil {
			return m.session.Truncate(n)
		}
		rest, err := m.session.Reuse(reuse)
		if len(rest) != len(reuse)-n {
			t.Fatalf("%d tokens are left to be read of %d after %d", len(rest), len(reuse), n)
		}
		return err
	})
	want := ErrEvicted
	if m.chunk > 0 {
		want = ErrLearned
	}
	if gone != errors.Is(err, want) || !gone && err != nil {
		t.Fatalf("back to %d tokens, rows were dropped at %d: error %v", n, m.past.evicted, err)
	}
	if err == nil {
		m.past.back(n)
	}
}

func (m *machine) snapshot(t *rapid.T) {
	from, err := m.session.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if from.Len() != len(m.past.text) {
		t.Fatalf("a snapshot of %d tokens, want %d", from.Len(), len(m.past.text))
	}
	m.snapshots, m.pasts = append(m.snapshots, from), append(m.pasts, m.past.clone())
}

func (m *machine) restore(t *rapid.T) {
	if len(m.snapshots) == 0 {
		t.Skip("there is no snapshot")
	}
	i := rapid.IntRange(0, len(m.snapshots)-1).Draw(t, "snapshot")
	if rapid.Bool().Draw(t, "elsewhere") {
		m.session = m.fresh(t)
	}
	if err := m.session.Restore(m.snapshots[i]); err != nil {
		t.Fatal(err)
	}
	m.past = m.pasts[i].clone()
}

func (m *machine) save(t *rapid.T) {
	if err := m.session.Save(m.path); err != nil {
		t.Fatal(err)
	}
	saved := m.past.clone()
	m.saved = &saved
}

func (m *machine) load(t *rapid.T) {
	if m.saved == nil {
		t.Skip("nothing was saved")
	}
	if rapid.Bool().Draw(t, "elsewhere") {
		m.session = m.fresh(t)
	}
	if err := m.session.Load(m.path); err != nil {
		t.Fatal(err)
	}
	m.past = m.saved.clone()
}

// check holds the session against what is to be expected of any.
func (m *machine) check(t *rapid.T) {
	s := m.session
	read := len(m.past.text) - m.past.pending
	rowsRead := s.sequence.RowsOf(read)
	if !slices.Equal(s.Tokens(), m.past.text) || s.Len() != len(m.past.text) || len(s.pending) != m.past.pending {
		t.Fatalf("the text is %v, want %v", s.Tokens(), m.past.text)
	}
	cfg, cache, sum := m.model.Config(), s.sequence.Cache, 0
	for l := range cfg.Layers {
		rows := 0
		for h := range cfg.KVHeads {
			rows += cache.Len(l, h)
			last := int32(-1)
			for r, i := cache.RowsOf(l, h), 0; i < r.Len(); i++ {
				if p := r.Position(i); p <= last || int(p) >= rowsRead || m.policy == "" && int(p) != i+rowsRead-r.Len() {
					t.Fatalf("layer %d, head %d: row %d is at position %d after %d, of %d", l, h, i, p, last, rowsRead)
				}
				last = r.Position(i)
			}
		}
		if least, most := m.rowsKept(rowsRead); rows < least*cfg.KVHeads || rows > most*cfg.KVHeads {
			t.Fatalf("layer %d has %d rows in %d heads, of %d tokens; the budget is %d", l, rows, cfg.KVHeads, read, m.budget)
		}
		sum += rows
	}
	mem, heads := s.Stats().Memory, cfg.Layers*cfg.KVHeads
	if read > 0 && (mem.RowsSeen != read || mem.RowsKept != (sum+heads-1)/heads || mem.KVBytes != cache.Bytes() || mem.KVBytesPeak < mem.KVBytes) {
		t.Fatalf("%+v; %d tokens are read, %d rows left, %d bytes", mem, read, sum, cache.Bytes())
	}
	if plan, err := m.model.Plan(max(read, m.budget+m.block), m.options()...); err != nil || m.policy != "" && mem.KVBytes > plan.KVBytes {
		t.Fatalf("%d bytes, planned are %d (%v)", mem.KVBytes, plan.KVBytes, err)
	}
}

// compare holds the session against a fresh one that did what was to be done, and against what both say of a text that
// goes on. A full cache is that of its text, however it came about.
func (m *machine) compare(t *rapid.T) {
	fresh := m.fresh(t)
	steps := m.past.steps
	if read := len(m.past.text) - m.past.pending; m.byText() && read > 0 {
		steps = []step{{read: m.past.text[:read]}}
	} else if read == 0 {
		steps = nil
	}
	for _, step := range steps {
		var err error
		if step.read != nil {
			err = fresh.Evaluate(context.Background(), step.read, nil)
		} else {
			err = fresh.Truncate(step.back)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fresh.pending = slices.Clone(m.past.text[len(m.past.text)-m.past.pending:])
	if got, want := contents(t, m.session), contents(t, fresh); got != want && m.chunk == 0 { // how many old rows are left is no matter
		t.Fatalf("the session holds\n%s, a fresh one\n%s", got, want)
	}
	here, err := m.session.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	next := []int32{3, 1, 4, 1, 5, 9, 2, 6}
	var want [][]float32
	for _, s := range []*Session{fresh, m.session} {
		err := s.Evaluate(context.Background(), next, func(i int, logits []float32) error {
			switch {
			case s == fresh:
				want = append(want, slices.Clone(logits))
			case !slices.Equal(logits, want[i]):
				return fmt.Errorf("logits after token %d differ from those of a fresh session", i)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.session.Restore(here); err != nil {
		t.Fatal(err)
	}
}

var contentsSeed = maphash.MakeSeed()

// contents tells of all that a session holds: its text, and the rows of every head with what goes with them.
func contents(t *rapid.T, s *Session) string {
	text := fmt.Sprintf("%d tokens, %d pending, evicted at %d\n", len(s.tokens), len(s.pending), s.evictedAt)
	var data []byte
	for _, list := range [][]int32{s.tokens, s.pending} {
		for _, id := range list {
			data = binary.LittleEndian.AppendUint32(data, uint32(id))
		}
	}
	cfg := s.sequence.Cache.Config()
	value, group := make([]float32, cfg.ValueDim), make([]float32, 0, 16*cfg.KeyDim)
	for i := range cfg.Layers * cfg.Heads {
		rows := s.sequence.Cache.RowsOf(i/cfg.Heads, i%cfg.Heads)
		text += fmt.Sprintf("%d rows,", rows.Len())
		for r := range rows.Len() {
			data = binary.LittleEndian.AppendUint32(data, uint32(rows.Position(r)))
			if err := rows.Value(r, value); err != nil {
				t.Fatal(err)
			}
			data = appendFloats(data, value)
		}
		for k := range cfg.Marks {
			data = appendFloats(data, rows.Mark(k)[:rows.Len()])
		}
		rows.Keys(func(first int, keys []float32) {
			width := len(keys) / cfg.KeyDim
			for r := range min(width, rows.Len()-first) {
				group = group[:0]
				for d := range cfg.KeyDim {
					group = append(group, keys[d*width+r])
				}
				data = appendFloats(data, group)
			}
		})
	}
	return fmt.Sprintf("%s hash %x", text, maphash.Bytes(contentsSeed, data))
}

func appendFloats(data []byte, values []float32) []byte {
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

// Whatever is done with a session, in whatever order, it holds what a session holds that did only what was not taken back;
// within its budget; and what fails changes nothing.
func TestSessionAtRandom(t *testing.T) {
	small, landmarks, chunks := smallModel(t, 16, WithThreads(1)), landmarkModel(t, 4, WithThreads(1)), synthModel(t, "mneme-fifo-tiny")
	for _, c := range []machine{
		{}, {policy: "window"}, {policy: "window:heads=pair,sinks=1,interval=1"}, {policy: "h2o"}, {policy: "h2o:heads=pair,interval=5"},
		{opening: "landmark:blocks=1000,local=40"}, {opening: "landmark:blocks=2,local=40"}, {opening: "landmark:blocks=2,memory=4,local=40", memory: 4},
		{chunk: 16},
	} {
		name := cmp.Or(c.policy, c.opening, kvcache.Full)
		if c.chunk > 0 {
			name = "fifo"
		}
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "session")
			rapid.Check(t, func(t *rapid.T) {
				m := &machine{model: small, policy: c.policy, opening: c.opening, memory: c.memory, chunk: c.chunk, path: path}
				switch {
				case m.opening != "":
					m.model = landmarks
				case m.chunk > 0:
					m.model = chunks
				}
				m.budget = rapid.SampledFrom([]int{16, 40, 140}).Draw(t, "budget")
				m.block = rapid.SampledFrom([]int{2, 5, 16, 32}).Draw(t, "block")
				m.session = m.fresh(t)
				if m.memory > 0 || m.chunk > 0 { // so that rows go soon
					begin := landmarkText(rapid.IntRange(0, 1).Draw(t, "begin") * kvcache.PageRows)
					if err := m.session.Evaluate(context.Background(), begin, nil); err != nil {
						t.Fatal(err)
					}
					m.past.read(begin)
				}
				t.Repeat(map[string]func(*rapid.T){
					"":               m.check,
					"evaluate":       m.evaluate,
					"evaluateInPart": m.evaluateInPart,
					"generate":       m.generate,
					"truncate":       m.truncate,
					"reuse":          m.reuse,
					"snapshot":       m.snapshot,
					"restore":        m.restore,
					"save":           m.save,
					"load":           m.load,
					"refused":        m.refused,
					"compare":        m.compare,
				})
				m.compare(t)
			})
		})
	}
}
