package mneme

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/mneme-lm/mneme/internal/statefile"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/model"
)

// ErrMismatch is wrapped when a saved session does not belong to the model or the options that it is loaded with.
var ErrMismatch = errors.New("the saved session does not fit")

// sessionVersion is that of what a session's file holds.
const sessionVersion = 1

// savedSession is what a session's file says of it beside its text and its cache.
type savedSession struct {
	Version     int     `json:"version"`
	Model       string  `json:"model"`            // fingerprint
	ModelName   string  `json:"model_name"`       // for people
	Policy      string  `json:"policy"`           // with its parameters
	Budgets     []int   `json:"kv_budgets"`       // rows per KV head of each layer; none for a full cache
	Attention   string  `json:"attention"`        // with its parameters
	Memory      string  `json:"memory,omitempty"` // kind of the model's memory, if that is used
	Rows        string  `json:"kv_type"`          // of the cache
	Layers      int     `json:"layers"`           // of the cache, as are the next ones
	Heads       int     `json:"kv_heads"`
	KeyDim      int     `json:"key_length"`
	ValueDim    int     `json:"value_length"`
	LongRope    bool    `json:"long_rope"`  // the long ones of two sets of RoPE factors
	Pending     []int32 `json:"pending"`    // tokens written and not read
	SamplerAt   int     `json:"sampler_at"` // tokens that the sampler knows of
	EvictedAt   int     `json:"evicted_at"` // tokens read when rows were last dropped
	Furthest    int     `json:"furthest"`   // one more than the largest position that RoPE was given
	Evictions   int     `json:"evictions"`
	RowsEvicted int64   `json:"rows_evicted"`
}

// The sections of a session's file.
const (
	sectionSession  = "session"  // JSON
	sectionTokens   = "tokens"   // read by the model, int32
	sectionExpected = "expected" // logits after the last token, float32, where the policy needs them
	sectionSampler  = "sampler"  // state of the sampler of the last generation
	sectionRows     = "rows"     // see kvcache.Snapshot.WriteRows
	sectionPages    = "pages"    // see kvcache.Snapshot.WritePages
	sectionMemory   = "memory"   // see model.Sequence.SaveMemories; absent where the session has none
)

// The alignment of a section's data: that of cached rows, which are used where they lie, and of all other.
const (
	pageAlignment = 4096
	alignment     = 64
)

func (s *Session) describe() (savedSession, error) {
	print, err := s.model.Fingerprint()
	if err != nil {
		return savedSession{}, err
	}
	cfg := s.sequence.Cache.Config()
	return savedSession{
		Version: sessionVersion, Model: print, ModelName: s.model.name(), Policy: s.policyName(), Budgets: s.budgets(),
		Attention: s.attentionName(), Rows: cfg.Type.String(), Layers: cfg.Layers, Heads: cfg.Heads, KeyDim: cfg.KeyDim, ValueDim: cfg.ValueDim,
		LongRope: s.sequence.LongRope(), Memory: s.memoryName(),
	}, nil
}

// Save writes the session to a file: the text, the keys and values of the rows that are left with all that the policy
// remembers of them, and where the sampler of the last generation stands. The file appears whole or not at all: whatever
// happens, there is the old one or the new one.
func (s *Session) Save(path string) error {
	if err := s.claim(); err != nil {
		return err
	}
	defer s.busy.Store(false)
	d, err := s.describe()
	if err != nil {
		return err
	}
	st := s.Stats()
	d.Pending, d.EvictedAt, d.Furthest = append([]int32{}, s.pending...), s.evictedAt, s.furthest
	sampler := s.sampler
	if s.samplerAt <= s.Len() { // else it waits for what Reuse left to be read
		d.SamplerAt = s.samplerAt
	} else {
		sampler = nil
	}
	d.Evictions, d.RowsEvicted = st.Memory.Evictions, st.Memory.RowsEvicted
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	w, err := statefile.Create(path)
	if err != nil {
		return fmt.Errorf("mneme: save session: %w", err)
	}
	defer w.Abort() // does nothing after Commit
	if err := s.write(w, text, sampler); err != nil {
		return fmt.Errorf("mneme: save session: %w", err)
	}
	return nil
}

func (s *Session) write(w *statefile.Writer, description, sampler []byte) error {
	for _, section := range []struct {
		name string
		data []byte
	}{
		{sectionSession, description}, {sectionTokens, encodeNumbers(s.tokens)}, {sectionExpected, encodeNumbers(s.expected)},
		{sectionSampler, sampler},
	} {
		if err := w.Section(section.name, alignment); err != nil {
			return err
		}
		if _, err := w.Write(section.data); err != nil {
			return err
		}
	}
	snapshot := s.sequence.Cache.Snapshot()
	if err := w.Section(sectionRows, alignment); err != nil {
		return err
	}
	if err := snapshot.WriteRows(w); err != nil {
		return err
	}
	if err := w.Section(sectionPages, pageAlignment); err != nil {
		return err
	}
	if err := snapshot.WritePages(w); err != nil {
		return err
	}
	if s.memoryName() != "" {
		if err := w.Section(sectionMemory, alignment); err != nil {
			return err
		}
		if _, err := w.Write(s.sequence.SaveMemories()); err != nil {
			return err
		}
	}
	return w.Commit()
}

// Load takes the session to where the one was that Save wrote to a file, with the same model and the same options; where
// these differ the error says which (ErrMismatch), and nothing is changed. The file is mapped, and its keys and values are
// used where they lie: it must stay as it is as long as the session needs them, and may be replaced by another file of its
// name, which is what Save does.
func (s *Session) Load(path string) error {
	if err := s.claim(); err != nil {
		return err
	}
	defer s.busy.Store(false)
	f, err := statefile.Open(path)
	if err != nil {
		return fmt.Errorf("mneme: load session: %w", err)
	}
	if err := s.load(f); err != nil {
		return errors.Join(fmt.Errorf("mneme: load session: %s: %w", path, err), f.Close())
	}
	return nil
}

func (s *Session) load(f *statefile.File) error {
	parts := map[string][]byte{}
	for _, name := range []string{sectionSession, sectionTokens, sectionExpected, sectionSampler, sectionRows, sectionPages} {
		data, ok := f.Section(name)
		if !ok {
			return fmt.Errorf("no section %q: it is not a session", name)
		}
		parts[name] = data
	}
	d, err := s.checkSaved(parts[sectionSession])
	if err != nil {
		return err
	}
	tokens, err := decodeNumbers[int32](parts[sectionTokens])
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	expected, err := decodeNumbers[float32](parts[sectionExpected])
	if err != nil {
		return fmt.Errorf("logits: %w", err)
	}
	file := &lent{f}
	cache, err := kvcache.ReadSnapshot(s.sequence.Cache.Config(), parts[sectionRows], parts[sectionPages], file)
	if err != nil {
		return err
	}
	if err := s.checkText(d, tokens, expected, cache); err != nil {
		return err
	}
	memory, _ := f.Section(sectionMemory)
	memories, err := s.sequence.ReadMemories(memory, cache.Seen())
	if err != nil {
		return err
	}
	if err := s.sequence.Cache.Restore(cache); err != nil {
		return err
	}
	s.sequence.SetMemories(memories)
	s.tokens, s.pending, s.expected, s.sampler = tokens, d.Pending, expected, bytes.Clone(parts[sectionSampler])
	s.samplerAt, s.evictedAt, s.furthest = d.SamplerAt, d.EvictedAt, d.Furthest
	s.lent = file
	runtime.AddCleanup(file, func(f *statefile.File) { f.Close() }, f) // nobody is left who could be told of an error
	s.update(func(st *Stats) { st.Memory.Evictions, st.Memory.RowsEvicted = d.Evictions, d.RowsEvicted })
	return nil
}

// lent is an open file in which rows of caches lie. It is closed when no session and no snapshot has such rows any more:
// these hold on to it beside their rows, so that it is there as long as anybody may be reading them.
type lent struct{ file *statefile.File }

// checkSaved holds what a file says of its session against this one.
func (s *Session) checkSaved(text []byte) (savedSession, error) {
	var d savedSession
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("its description: %w", err)
	}
	want, err := s.describe()
	if err != nil {
		return d, err
	}
	differs := func(what string, saved, this any) error {
		return fmt.Errorf("it was saved with %s %v, and this session has %v: %w", what, saved, this, ErrMismatch)
	}
	switch {
	case d.Version != want.Version:
		return d, differs("version", d.Version, want.Version)
	case d.Model != want.Model:
		return d, differs("model", named(d), named(want))
	case d.Policy != want.Policy:
		return d, differs("policy", d.Policy, want.Policy)
	case !slices.Equal(d.Budgets, want.Budgets):
		return d, differs("budgets", d.Budgets, want.Budgets)
	case d.Attention != want.Attention:
		return d, differs("attention", d.Attention, want.Attention)
	case d.Memory != want.Memory:
		return d, differs("memory", cmp.Or(d.Memory, model.MemoryNone), cmp.Or(want.Memory, model.MemoryNone))
	case d.Rows != want.Rows:
		return d, differs("rows of type", d.Rows, want.Rows)
	case d.Layers != want.Layers || d.Heads != want.Heads || d.KeyDim != want.KeyDim || d.ValueDim != want.ValueDim:
		return d, differs("a cache of shape", [4]int{d.Layers, d.Heads, d.KeyDim, d.ValueDim}, [4]int{want.Layers, want.Heads, want.KeyDim, want.ValueDim})
	case d.LongRope != want.LongRope:
		return d, differs("long RoPE factors", d.LongRope, want.LongRope)
	}
	return d, nil
}

func named(d savedSession) string { return fmt.Sprintf("%q (%.16s)", d.ModelName, d.Model) }

// checkText holds the parts of a file against each other: it may have been made by hand.
func (s *Session) checkText(d savedSession, tokens []int32, expected []float32, cache *kvcache.Snapshot) error {
	for _, list := range [][]int32{tokens, d.Pending} {
		if err := s.checkTokens(list); err != nil {
			return err
		}
	}
	switch {
	case cache.Seen() != s.sequence.RowsOf(len(tokens)):
		return fmt.Errorf("it has %d tokens, and rows of %d", len(tokens), cache.Seen())
	case len(d.Pending) > 1:
		return fmt.Errorf("%d tokens are pending", len(d.Pending))
	case len(expected) != 0 && len(expected) != s.model.net.Vocabulary:
		return fmt.Errorf("%d logits for a vocabulary of %d", len(expected), s.model.net.Vocabulary)
	case d.SamplerAt < 0 || d.SamplerAt > len(tokens)+len(d.Pending) || d.EvictedAt < 0 || d.EvictedAt > len(tokens) || d.Furthest < 0 || d.Furthest > math.MaxInt32 || d.Evictions < 0 || d.RowsEvicted < 0:
		return fmt.Errorf("its counts make no sense: %+v", d)
	}
	return nil
}

// Reuse takes the session back to where a text begins to differ from what the session holds, so that only the rest, which
// is returned, has to be read: rest is never empty, unless tokens is. A text whose rows were dropped cannot always be taken
// back as far as needed: that is an error (ErrEvicted), and changes nothing.
func (s *Session) Reuse(tokens []int32) (rest []int32, err error) {
	have, same := s.Tokens(), 0
	for same < min(len(have), len(tokens)) && have[same] == tokens[same] {
		same++
	}
	sampler, samplerAt := s.sampler, s.samplerAt
	whole := same == len(tokens) && same == len(have)
	if same == len(tokens) && same > 0 {
		same-- // the logits after the last one are needed
	}
	if err := s.Truncate(same); err != nil {
		return tokens[same:], err
	}
	if whole { // with the rest the text is the one that the sampler knows
		s.sampler, s.samplerAt = sampler, samplerAt
	}
	return tokens[same:], nil
}

func encodeNumbers[T int32 | float32](values []T) []byte {
	data, err := binary.Append(make([]byte, 0, 4*len(values)), binary.LittleEndian, values)
	if err != nil {
		panic(err) // values of fixed size
	}
	return data
}

func decodeNumbers[T int32 | float32](data []byte) ([]T, error) {
	if len(data)%4 != 0 {
		return nil, fmt.Errorf("%d bytes are not a number of values", len(data))
	}
	values := make([]T, len(data)/4)
	_, err := binary.Decode(data, binary.LittleEndian, values)
	return values, err
}
