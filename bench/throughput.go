package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/mneme-lm/mneme"
)

// DefaultRepeats is how often each test is run unless ThroughputOptions says otherwise.
const DefaultRepeats = 3

// ThroughputOptions says what speed is measured. There is a test for each depth with each length.
type ThroughputOptions struct {
	Prompts  []int // numbers of tokens to read
	Generate []int // numbers of tokens to go on by, one by one
	Depths   []int // numbers of tokens that the cache holds before; none: 0
	Repeats  int   // runs of each test that count; 0: DefaultRepeats
	// Context is announced to sessions (see mneme.WithContext). 0: as much as the longest test of a depth needs.
	Context int
	// ReadBytes is for MeasureRoofline.
	ReadBytes int
	// Session configures the sessions.
	Session []mneme.SessionOption
	// Progress, if it is set, is called now and then with the number of tokens done so far and in all.
	Progress func(done, total int)
}

// ThroughputResult is what was measured.
type ThroughputResult struct {
	Roofline Roofline
	Rows     []ThroughputRow // depth by depth, prompts first
	// OpensSome says that queries open some of the rows that they may see.
	OpensSome bool
}

// ThroughputRow is one test.
type ThroughputRow struct {
	Test            string  // pp512, tg32, tg32@d32768: prompt or generated tokens, and the depth
	TokensPerSecond float64 // mean over the runs
	StdDev          float64 // of the runs' speeds; 0 for a single one
	OfRoofline      float64 // share of the speed that the machine's limits allow: see Throughput
	// AttentionMass is the share of the attention of the last token's queries that the rows hold which they open, at the end of
	// the last run and not part of its time: 1 where they open all. The rows of a depth are noise, over which attention is
	// spread out evenly, so that it is about the share of the rows: a text's is larger. 0: it cannot be told, beside a learned memory.
	AttentionMass float64
}

// Throughput measures how fast a model reads and writes, and what the machine could do at best.
//
// A prompt (pp) is read in blocks, as Session.Evaluate does, up to the logits after its last token. Generation (tg) is
// reading token by token, each with its logits; choosing the next one is not part of it. The tokens are random. Before the
// runs that count there is one that does not. A depth is noise, written into the cache and the memories by Session.Fill.
//
// The roofline is measured before and after, and the higher of each limit counts. A test's share of it is the time that
// the machine would need at its limit, over the time that it took:
//
//   - tg: bytes over ReadGBps, where the bytes are those that every token needs from memory: all matrices of the layers
//     (of experts as many as a token is given to), the output matrix, and the keys and values of the depth and of the
//     tokens since (see mneme.Model.Work);
//   - pp: 8-bit operations over Int8GOPS plus float operations over F32GFLOPS, where the operations are those of the
//     matrix products, two for each multiply-add: products with block types are 8-bit ones, products with F32, F16 and
//     BF16 are float ones, and the output matrix counts for one token of the prompt. The arithmetic of attention does
//     not count: the share falls as depth and prompt grow.
//
// A model that fits into the processor's caches may come out above 1, and so may bfloat16 products where there are
// instructions for them.
func Throughput(ctx context.Context, m *mneme.Model, o ThroughputOptions) (ThroughputResult, error) {
	r, err := measureThroughput(ctx, m, o)
	if err != nil {
		return ThroughputResult{}, fmt.Errorf("bench: throughput: %w", err)
	}
	return r, nil
}

func measureThroughput(ctx context.Context, m *mneme.Model, o ThroughputOptions) (r ThroughputResult, err error) {
	t, err := newThroughput(m, o)
	if err != nil {
		return r, err
	}
	before, err := measureRoofline(ctx, m, o.ReadBytes)
	if err != nil {
		return r, err
	}
	for i, depth := range t.options.Depths {
		if err := t.atDepth(ctx, depth, t.tests[i*t.each:(i+1)*t.each]); err != nil {
			return r, err
		}
		debug.FreeOSMemory() // what comes next may need the memory of the cache
	}
	after, err := measureRoofline(ctx, m, o.ReadBytes)
	if err != nil {
		return r, err
	}
	r.Roofline, r.OpensSome = before.higher(after), t.opens
	r.Rows, err = t.rows(r.Roofline)
	return r, err
}

// throughput is one measurement.
type throughput struct {
	model   *mneme.Model
	options ThroughputOptions
	longest int     // tokens of a test
	ids     []int32 // as many
	tests   []*speedTest
	each    int  // tests for each depth
	opens   bool // some of the rows
	done    int
	total   int
}

// speedTest is one row in the making.
type speedTest struct {
	prompt bool
	tokens int
	depth  int
	speeds moments // tokens per second
	mass   float64 // of attention, at the end of the last run
}

func newThroughput(m *mneme.Model, o ThroughputOptions) (*throughput, error) {
	if len(o.Depths) == 0 {
		o.Depths = []int{0}
	}
	if o.Repeats == 0 {
		o.Repeats = DefaultRepeats
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	t := &throughput{model: m, options: o, each: len(o.Prompts) + len(o.Generate)}
	if err := t.check(); err != nil {
		return nil, err
	}
	for _, depth := range o.Depths {
		for _, n := range o.Prompts {
			t.add(&speedTest{prompt: true, tokens: n, depth: depth})
		}
		for _, n := range o.Generate {
			t.add(&speedTest{tokens: n, depth: depth})
		}
	}
	return t, nil
}

func (t *throughput) check() error {
	o := &t.options
	lengths := slices.Concat(o.Prompts, o.Generate)
	if len(lengths) == 0 {
		return errors.New("nothing to read and nothing to generate")
	}
	t.longest = slices.Max(lengths)
	need := slices.Max(o.Depths) + t.longest
	switch {
	case slices.Min(lengths) < 1:
		return fmt.Errorf("tests of %v and %v tokens: want 1 or more", o.Prompts, o.Generate)
	case slices.Min(o.Depths) < 0:
		return fmt.Errorf("depths of %v tokens: want 0 or more", o.Depths)
	case t.longest > math.MaxInt32 || slices.Max(o.Depths) > math.MaxInt32-t.longest:
		return fmt.Errorf("depths of %v tokens and up to %d more: that is more than positions can count", o.Depths, t.longest)
	case o.Repeats < 0:
		return fmt.Errorf("%d runs of each test", o.Repeats)
	case o.Context != 0 && o.Context < need:
		return fmt.Errorf("a context of %d tokens, and the longest test needs %d", o.Context, need)
	}
	return nil
}

func (t *throughput) add(test *speedTest) {
	t.tests = append(t.tests, test)
	t.total += test.warmUp() + t.options.Repeats*test.tokens
}

// warmUp is the number of tokens of the run that does not count: enough to bring the weights in from the disk and to
// make the memory that later runs use again.
func (test *speedTest) warmUp() int {
	if test.prompt {
		return min(test.tokens, mneme.DefaultPrefillBlock)
	}
	return min(test.tokens, 4)
}

// name is what the reference engine calls such a test.
func (test *speedTest) name() string {
	kind := "tg"
	if test.prompt {
		kind = "pp"
	}
	if test.depth > 0 {
		return fmt.Sprintf("%s%d@d%d", kind, test.tokens, test.depth)
	}
	return fmt.Sprintf("%s%d", kind, test.tokens)
}

// atDepth runs the tests of one depth, all in the same session.
func (t *throughput) atDepth(ctx context.Context, depth int, tests []*speedTest) (err error) {
	announced := t.options.Context
	if announced == 0 {
		announced = depth + t.longest
	}
	opts := t.options.Session
	s, err := t.model.NewSession(append(opts[:len(opts):len(opts)], mneme.WithContext(announced))...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t.opens = s.OpensSome()
	if err := s.Fill(depth); err != nil {
		return err
	}
	t.makeTokens()
	from, err := s.Snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	for _, test := range tests {
		if err := t.run(ctx, s, from, test); err != nil {
			return fmt.Errorf("%s: %w", test.name(), err)
		}
	}
	return nil
}

func (t *throughput) makeTokens() {
	rng := rand.New(rand.NewPCG(1, 1))
	vocabulary := max(1, int32(t.model.Config().Vocabulary))
	for len(t.ids) < t.longest {
		t.ids = append(t.ids, rng.Int32N(vocabulary))
	}
}

// run runs one test as often as asked for.
func (t *throughput) run(ctx context.Context, s *mneme.Session, from *mneme.Snapshot, test *speedTest) error {
	if _, err := t.once(ctx, s, test, test.warmUp()); err != nil {
		return err
	}
	for range t.options.Repeats {
		if err := s.Restore(from); err != nil {
			return err
		}
		elapsed, err := t.once(ctx, s, test, test.tokens)
		if err != nil {
			return err
		}
		test.speeds.add(float64(test.tokens) / elapsed.Seconds())
	}
	var err error
	if test.mass, err = s.AttentionMass(ctx); err != nil && !errors.Is(err, mneme.ErrLearned) {
		return err
	}
	return s.Restore(from)
}

// once has the session go on by n tokens.
func (t *throughput) once(ctx context.Context, s *mneme.Session, test *speedTest, n int) (time.Duration, error) {
	step := 1
	if test.prompt {
		step = n
	}
	start := time.Now()
	for i := 0; i < n; i += step {
		if err := s.Evaluate(ctx, t.ids[i:i+step], nil); err != nil {
			return 0, err
		}
	}
	elapsed := max(time.Since(start), 1)
	t.done += n
	t.options.Progress(t.done, t.total)
	return elapsed, nil
}

// rows holds the tests against the limits.
func (t *throughput) rows(limit Roofline) ([]ThroughputRow, error) {
	var rows []ThroughputRow
	for _, test := range t.tests {
		seconds, err := t.atBest(test, limit)
		if err != nil {
			return nil, err
		}
		speed := test.speeds.mean()
		rows = append(rows, ThroughputRow{
			Test:            test.name(),
			TokensPerSecond: speed,
			StdDev:          test.speeds.deviation(),
			OfRoofline:      seconds * speed / float64(test.tokens),
			AttentionMass:   test.mass,
		})
	}
	return rows, nil
}

// atBest is the time that a run of a test would take at the limits.
func (t *throughput) atBest(test *speedTest, limit Roofline) (seconds float64, err error) {
	if test.prompt {
		return t.promptAtBest(test.tokens, limit)
	}
	bytes := 0.
	for i := range test.tokens {
		w, err := t.model.Work(test.depth+i+1, true, t.options.Session...)
		if err != nil {
			return 0, err
		}
		bytes += float64(w.WeightBytes + w.CacheBytes)
	}
	return over(bytes, limit.ReadGBps), nil
}

func (t *throughput) promptAtBest(tokens int, limit Roofline) (seconds float64, err error) {
	w, err := t.model.Work(0, false, t.options.Session...)
	if err != nil {
		return 0, err
	}
	last, err := t.model.Work(0, true, t.options.Session...)
	if err != nil {
		return 0, err
	}
	before := float64(tokens - 1)
	return over(before*float64(w.Int8Ops)+float64(last.Int8Ops), limit.Int8GOPS) +
		over(before*float64(w.FloatOps)+float64(last.FloatOps), limit.F32GFLOPS), nil
}

// over is the time that n takes at a rate in 10⁹ per second.
func over(n, rate float64) float64 {
	if rate <= 0 {
		return 0
	}
	return n / (rate * 1e9)
}
