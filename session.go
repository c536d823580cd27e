package mneme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/weights/quant"
)

// ErrBusy is returned when a session is asked for something while it is at work for another goroutine.
var ErrBusy = errors.New("mneme: the session is in use")

// Session is one text in the making: what the model has read and written of it. A session does one thing at a time;
// Stats may be called at any moment.
type Session struct {
	model    *Model
	options  sessionOptions
	sequence *model.Sequence

	busy      atomic.Bool
	closed    atomic.Bool
	store     *store  // nil: rows are in memory
	tokens    []int32 // read by the model, in order
	pending   []int32 // written by the model and not yet read by it: at most one
	evictedAt int     // how many tokens there were when rows were last dropped
	furthest  int     // one more than the largest position that RoPE was given
	batch     []model.Row
	logits    []float32
	expected  []float32      // logits after the last token, for a policy that wants to know how surprising the next one is
	episode   []int32        // the prompt that rows are scored by, in a conversation
	sampler   []byte         // state of the sampler of the last generation
	samplerAt int            // how many tokens it knows of
	lent      *lent          // what rows of the cache may lie in, nil: memory of their own
	progress  func(read int) // told after every block of what is being read; nil: nobody

	mu    sync.Mutex
	stats Stats
}

// Stats says what a session has done and what it holds.
type Stats struct {
	PromptTokens    int           // read
	GeneratedTokens int           // written
	PrefillTime     time.Duration // spent reading
	DecodeTime      time.Duration // spent writing
	Stopped         StopReason    // why the last generation ended
	// BeyondTrained is how many positions that the model was given are beyond those it was trained for: how many tokens the text is
	// longer, but where positions are those in chunks, or of the rows that are left.
	BeyondTrained int
	Memory        Memory
}

// Memory says what a session remembers, and at what price.
type Memory struct {
	KVBytes     int64 `json:"kv_bytes"`
	KVBytesPeak int64 `json:"kv_bytes_peak"`
	RowsKept    int   `json:"rows_kept"` // per KV head, on the average over layers and heads, without those that no query would see
	RowsSeen    int   `json:"rows_seen"`
	StateBytes  int64 `json:"state_bytes"`
	StoreBytes  int64 `json:"store_bytes,omitempty"` // of keys and values in a file, see WithKVStore

	Policy string `json:"policy"`
	// What a policy dropped. Rows that go because no query sees that far back, where all layers of the model attend to chunks or
	// windows, would never have been read again, and do not count.
	Evictions   int   `json:"evictions"`    // how often rows were dropped
	RowsEvicted int64 `json:"rows_evicted"` // over all layers and heads
}

func newSessionOptions(opts []SessionOption) (sessionOptions, error) {
	o := sessionOptions{rows: quant.F16, block: DefaultPrefillBlock}
	for _, opt := range opts {
		opt(&o)
	}
	return o, o.check()
}

// NewSession begins an empty text. A session needs no closing but for its file, where it has one: see WithKVStore.
func (m *Model) NewSession(opts ...SessionOption) (*Session, error) {
	o, err := newSessionOptions(opts)
	if err != nil {
		return nil, err
	}
	plan, err := m.Plan(o.context, opts...)
	if err != nil {
		return nil, err
	}
	what := "an empty session"
	if o.context > 0 {
		what = fmt.Sprintf("a context of %d tokens", o.context)
	}
	if err := refuse(plan.sessionBytes(), what); err != nil {
		return nil, err
	}
	eviction, err := o.eviction(m)
	if err != nil {
		return nil, err
	}
	method, err := o.method()
	if err != nil {
		return nil, err
	}
	remembers, err := o.remembers(m)
	if err != nil {
		return nil, err
	}
	file, err := newStore(&o)
	if err != nil {
		return nil, err
	}
	sequence, err := m.net.NewSequence(model.SequenceOptions{
		Rows: o.rows, Context: o.context, Eviction: eviction, Attention: method, Store: file.rows(), NoMemory: !remembers,
	})
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.file.Close())
		}
		return nil, err
	}
	return &Session{model: m, options: o, sequence: sequence, store: file}, nil
}

// Stats returns what the session has done so far.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Session) update(change func(*Stats)) {
	cache := s.sequence.Cache
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
	s.stats.BeyondTrained = max(0, s.furthest-s.model.net.ContextLength)
	heads := int64(cache.Config().Layers * cache.Config().Heads)
	mem := &s.stats.Memory
	mem.KVBytes, mem.KVBytesPeak, mem.StateBytes = cache.Bytes(), cache.PeakBytes(), cache.MarkBytes()+cache.IndexBytes()+s.sequence.MemoryBytes()
	mem.StoreBytes = cache.StoredBytes()
	mem.RowsKept, mem.RowsSeen = int((cache.Rows()+heads-1)/heads), len(s.tokens)
	mem.Policy = s.policyName()
}

// claim marks the session as in use.
func (s *Session) claim() error {
	if !s.busy.CompareAndSwap(false, true) {
		return ErrBusy
	}
	if s.closed.Load() {
		s.busy.Store(false)
		return errClosed
	}
	return nil
}

// Len is the number of tokens in the text: read, and written but not yet read again.
func (s *Session) Len() int { return len(s.tokens) + len(s.pending) }

// Tokens returns the text so far, as token ids.
func (s *Session) Tokens() []int32 {
	return append(append(make([]int32, 0, s.Len()), s.tokens...), s.pending...)
}

// Truncate takes the text back to its first n tokens. A text whose rows were dropped from the cache since then, or their
// keys pruned, cannot be taken back, but to its beginning: that is an error (ErrEvicted), and changes nothing. Where all layers
// of the model attend to chunks or windows, rows are gone that are behind the last token's chunk, or its window and a page. A text that a
// memory has learned from cannot be taken back either (ErrLearned); one of kind fifo allows it to where the chunk of the last
// token begins. See Snapshot.
func (s *Session) Truncate(n int) error {
	if err := s.claim(); err != nil {
		return err
	}
	defer s.busy.Store(false)
	if n < 0 || n > s.Len() {
		return fmt.Errorf("mneme: cannot truncate a text of %d tokens to %d", s.Len(), n)
	}
	if n == s.Len() {
		return nil
	}
	if n >= len(s.tokens) {
		s.pending, s.sampler, s.samplerAt = s.pending[:n-len(s.tokens)], nil, 0
		return nil
	}
	if err := s.sequence.Truncate(s.sequence.RowsOf(n)); err != nil {
		return err
	}
	s.sequence.Cache.Trim()
	s.tokens, s.pending, s.expected = s.tokens[:n:n], nil, nil
	s.sampler, s.samplerAt = nil, 0
	s.evictedAt = min(s.evictedAt, n)
	s.furthest = s.sequence.Positions()
	s.update(func(st *Stats) {
		if n == 0 { // nothing is missing of an empty text
			st.Memory.Evictions, st.Memory.RowsEvicted = 0, 0
		}
	})
	return nil
}

// Evaluate has the model read tokens, after what it wrote itself, and calls each with the logits after every one of
// them; the slice is lent for the call. Tokens that the model does not have are refused before any is read. An error from
// each ends the reading, after the block that it came in. When ctx ends, so does the reading, within a layer's time, and
// the session holds a whole number of tokens.
func (s *Session) Evaluate(ctx context.Context, tokens []int32, each func(i int, logits []float32) error) error {
	if err := s.claim(); err != nil {
		return err
	}
	defer s.busy.Store(false)
	behind := len(s.pending)
	block := s.options.block
	if each != nil {
		block = s.model.logitsBlock(block)
	}
	return s.readOn(ctx, slices.Concat(s.pending, tokens), block, each != nil, func(i int, logits []float32) error {
		if i < behind || each == nil {
			return nil
		}
		return each(i-behind, logits)
	})
}

// evaluateLogits bounds the logits that are held at a time: 16 MiB.
const evaluateLogits = 4 << 20

// logitsBlock is how many tokens of a block are read at a time where the logits after each are wanted.
func (m *Model) logitsBlock(block int) int {
	return max(1, min(block, evaluateLogits/m.net.Vocabulary))
}

// readOn reads tokens that begin with those the model wrote last and has not read.
func (s *Session) readOn(ctx context.Context, tokens []int32, block int, every bool, each func(i int, logits []float32) error) error {
	before, pending := len(s.tokens), s.pending
	s.pending = nil
	err := s.read(ctx, tokens, block, every, each)
	if len(s.tokens) == before {
		s.pending = pending
	}
	return err
}

// checkTokens refuses what the model has no token for.
func (m *Model) checkTokens(tokens []int32) error {
	for _, id := range tokens {
		if id < 0 || int(id) >= m.net.Vocabulary {
			return fmt.Errorf("token %d is not in the vocabulary of %d", id, m.net.Vocabulary)
		}
	}
	return nil
}

// checkTokens refuses what the session cannot have in its text.
func (s *Session) checkTokens(tokens []int32) error {
	if err := s.model.checkTokens(tokens); err != nil {
		return err
	}
	if landmark, ok := s.sequence.Landmark(); ok && slices.Contains(tokens, landmark) {
		return fmt.Errorf("token %d is the landmark that the session puts behind every block: a text cannot contain it", landmark)
	}
	return nil
}

// read runs tokens through the model, block by block. With every set, it hands out the logits after each token, else
// those after the last.
func (s *Session) read(ctx context.Context, tokens []int32, block int, every bool, each func(i int, logits []float32) error) error {
	stop, end := stopWith(ctx)
	defer end()
	if err := s.checkTokens(tokens); err != nil {
		return fmt.Errorf("mneme: %w", err)
	}
	if err := s.reserve(len(tokens)); err != nil {
		return err
	}
	if s.wantsSurprise() {
		block = s.model.logitsBlock(block)
	}
	block = s.textOf(block)
	start := time.Now()
	read, counted := 0, 0
	count := func() { // also between blocks, so that Stats tells how far it is
		s.update(func(st *Stats) {
			st.PromptTokens += read - counted
			st.PrefillTime += time.Since(start)
		})
		start, counted = time.Now(), read
	}
	defer count()
	if len(tokens) > 1 {
		defer s.sequence.Cache.Trim()
	}
	for read < len(tokens) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var err error
		n := min(block, len(tokens)-read)
		last := read+n == len(tokens)
		first := read
		var failure error
		wanted := func(i int) bool { return every || last && i == n-1 }
		if len(tokens) == 1 {
			err = s.makeRoomForOne(stop)
		} else { // an earlier reading may have ended before it came to this
			err = s.makeRoom(0, 0, tokens, stop)
		}
		if err != nil {
			return stopped(ctx, err)
		}
		err = s.forward(tokens[read:read+n], stop, wanted, func(i int, logits []float32) {
			if failure == nil {
				failure = each(first+i, logits)
			}
		})
		if err != nil {
			return stopped(ctx, err)
		}
		read += n
		if len(tokens) > 1 {
			err = s.settle(tokens, stop)
		}
		if failure != nil {
			return failure
		}
		if err != nil {
			return stopped(ctx, err)
		}
		count()
		if s.progress != nil {
			s.progress(read)
		}
	}
	return nil
}

// textOf is how many tokens of the text are read at a time, where a policy may need some of a block's rows for itself.
func (s *Session) textOf(block int) int {
	block = s.sequence.Block(block)
	e := s.sequence.Eviction
	if e == nil {
		return block
	}
	p, ok := e.Policy().(kvcache.Prober)
	if !ok {
		return block
	}
	text := p.Text(block)
	if n := len(s.episode); n > 0 { // it is known how long the probe is
		text = max(text, block-n)
	}
	return max(1, min(block, text))
}

// settle brings the cache within its budget after a block, and prunes its keys.
func (s *Session) settle(prompt []int32, stop *atomic.Bool) error {
	if err := s.makeRoom(0, 0, prompt, stop); err != nil {
		return err
	}
	return s.model.runner.Prune(s.sequence)
}

// makeRoomForOne drops rows before a single token is read, if its row would be one too many: some at a time. So it prunes
// keys.
func (s *Session) makeRoomForOne(stop *atomic.Bool) error {
	if s.sequence.Eviction == nil {
		return nil
	}
	if err := s.makeRoom(1, s.sequence.Eviction.Interval(), nil, stop); err != nil {
		return err
	}
	return s.model.runner.Prune(s.sequence)
}

// stopWith returns what tells the runner to stop when ctx ends, until end is called.
func stopWith(ctx context.Context) (stop *atomic.Bool, end func() bool) {
	stop = new(atomic.Bool)
	if ctx.Done() == nil {
		return stop, func() bool { return true }
	}
	return stop, context.AfterFunc(ctx, func() { stop.Store(true) })
}

// inBlocks has run go through tokens from number first on, which a sequence has not read, a block at a time; the rows are lent.
func inBlocks(s *model.Sequence, tokens []int32, first int, run func(rows []model.Row) error) error {
	block := s.Block(DefaultPrefillBlock)
	var rows []model.Row
	for at := first; at < len(tokens); at += block {
		rows = s.Rows(rows[:0], tokens[at:min(at+block, len(tokens))], at)
		if err := run(rows); err != nil {
			return err
		}
	}
	return nil
}

// stopped turns the runner's word that it was stopped into the reason.
func stopped(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(err, model.ErrStopped) && cause != nil {
		return cause
	}
	return err
}

// forward runs one batch. Rows that are not a token of the text, landmarks, are nobody else's affair.
func (s *Session) forward(tokens []int32, stop *atomic.Bool, wanted func(i int) bool, each func(i int, logits []float32)) error {
	first := len(s.tokens)
	s.batch = s.sequence.Rows(s.batch[:0], tokens, first)
	before := s.sequence.RowsOf(first)
	for i := range tokens {
		s.batch[s.rowAt(first+i)-before].Logits = wanted(i)
	}
	if s.wantsSurprise() {
		return s.forwardSurprised(tokens, stop, wanted, each)
	}
	i := 0
	err := s.model.runner.Forward(s.batch, stop, func(row int, logits []float32) {
		for s.rowAt(first+i)-before < row {
			i++
		}
		each(i, logits)
	})
	if err != nil {
		return err
	}
	s.took(tokens)
	return nil
}

// rowAt is the number of a token's row.
func (s *Session) rowAt(token int) int { return s.sequence.RowsOf(token) }

// took notes tokens that the model has read.
func (s *Session) took(tokens []int32) {
	s.tokens = append(s.tokens, tokens...)
	s.furthest = max(s.furthest, s.sequence.Positions())
}

// reserve refuses n more tokens if their keys and values, and what is remembered of these rows, would not fit into memory, or their
// positions into a number. What the model's memory takes is there already.
func (s *Session) reserve(n int) error {
	const most = 1<<31 - 1
	if s.sequence.RowsOf(len(s.tokens)+n) > most {
		return fmt.Errorf("mneme: a text of %d tokens is longer than the %d that positions can count", len(s.tokens)+n, most)
	}
	cache, e := s.sequence.Cache, s.sequence.Eviction
	rows := s.sequence.MostRows(len(s.tokens)+n, s.options.block)
	var more int64
	if n > 1 { // of a token alone it is little
		index, err := cache.Config().IndexBytes(rows)
		if err != nil {
			return err
		}
		more = max(0, index-cache.IndexBytes())
		if e != nil {
			marks := e.MarkBytes(cache.Config(), min(rows, e.MostRows(s.model.net.KVHeads, s.options.block)))
			more = sum(more, max(0, marks-cache.MarkBytes()))
		}
	}
	if s.store == nil { // else the file says so when the disk is full
		bytes, err := s.model.keyValueBytes(&s.options, e, rows)
		if err != nil {
			return err
		}
		more = sum(more, max(0, bytes-cache.Bytes()))
	}
	if more == 0 {
		return nil
	}
	return refuse(more, fmt.Sprintf("what is kept of %d more tokens after %d", n, len(s.tokens)))
}
