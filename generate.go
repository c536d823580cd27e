package mneme

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
)

// Token is one generated token.
type Token struct {
	// ID is the token's number, or -1 for a last piece of text that belongs to no further token: what was left of a
	// character that never became complete, as U+FFFD.
	ID int32
	// Text is what the token adds to the text: whole characters. It is empty for the beginning of a character that later
	// tokens complete, and for control tokens.
	Text string
	// LogProb is the natural logarithm of the token's probability before sampling changed it, if WithLogProbs asks for
	// it.
	LogProb float64
}

// StopReason says why a generation ended.
type StopReason string

// The reasons.
const (
	StopEnd      StopReason = "end"      // the model ended the text
	StopToken    StopReason = "token"    // a token of WithStopTokens
	StopString   StopReason = "string"   // a string of WithStop
	StopLength   StopReason = "length"   // as many tokens as WithMaxTokens asks for
	StopContext  StopReason = "context"  // the length that the model was trained for
	StopCaller   StopReason = "caller"   // the caller left the loop
	StopCanceled StopReason = "canceled" // the context ended
	StopError    StopReason = "error"
)

// Generate has the model read a prompt, after what the session holds, and write what follows. An empty prompt
// continues. The tokens come as they are chosen; an error, the context's among them, comes last. Text that may be the
// beginning of a stop string is held back until that is decided.
//
// The session keeps what it has read and written, so that the next call goes on from there. When ctx ends, so does the
// generation, within one token.
func (s *Session) Generate(ctx context.Context, prompt string, opts ...Option) iter.Seq2[Token, error] {
	return s.generate(ctx, opts, func(o *generateOptions) ([]int32, error) { return s.encode(prompt, o) })
}

// GenerateTokens is Generate for a prompt of token ids, taken as they are.
func (s *Session) GenerateTokens(ctx context.Context, prompt []int32, opts ...Option) iter.Seq2[Token, error] {
	return s.generate(ctx, opts, func(*generateOptions) ([]int32, error) { return prompt, nil })
}

// encode turns a prompt into tokens, with the special tokens that the model wants at the start of a text.
func (s *Session) encode(prompt string, o *generateOptions) ([]int32, error) {
	t := s.model.tokenizer
	if t == nil {
		return nil, fmt.Errorf("mneme: a prompt of text: %w", ErrNoTokenizer)
	}
	if prompt == "" && s.Len() > 0 {
		return nil, nil
	}
	return t.Encode(prompt, tokenizer.EncodeOptions{AddSpecial: s.Len() == 0, ParseSpecial: !o.plainPrompt}), nil
}

func (s *Session) generate(ctx context.Context, opts []Option, prompt func(*generateOptions) ([]int32, error)) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := s.claim(); err != nil {
			yield(Token{}, err)
			return
		}
		defer s.busy.Store(false)
		g, err := s.newGeneration(opts, prompt)
		if err == nil {
			err = g.run(ctx, yield)
		}
		g.finish(yield)
		g.keepSampler()
		if e := s.sequence.Eviction; e != nil && err == nil {
			e.EndTurn(s.sequence.Cache)
		}
		if err != nil {
			g.reason = StopError
			if ctx.Err() != nil {
				g.reason = StopCanceled
			}
		}
		s.update(func(st *Stats) { st.Stopped = g.reason })
		if err != nil && !g.left {
			yield(Token{}, err)
		}
	}
}

// generation is one run of Generate.
type generation struct {
	*Session
	options generateOptions
	prompt  []int32
	chain   *sample.Chain
	decoder *tokenizer.Decoder // nil without a tokenizer
	filter  stopFilter
	limit   int        // tokens to write
	full    StopReason // why it ends there
	reason  StopReason
	left    bool // the caller has left the loop
}

func (s *Session) newGeneration(opts []Option, prompt func(*generateOptions) ([]int32, error)) (*generation, error) {
	g := &generation{Session: s, options: generateOptions{sampling: sample.Default(), maxTokens: math.MinInt}}
	for _, opt := range opts {
		opt(&g.options)
	}
	ids, err := prompt(&g.options)
	if err != nil {
		return g, err
	}
	g.prompt = append(slices.Clone(s.pending), ids...)
	if len(g.prompt) == 0 {
		return g, fmt.Errorf("mneme: nothing to continue: the prompt is empty and the model adds no token of its own")
	}
	g.limit, g.full = g.options.maxTokens, StopLength
	if g.limit == math.MinInt {
		g.limit, g.full = s.room(len(g.prompt)), StopContext
	} else if g.limit < 0 {
		return g, fmt.Errorf("mneme: at most %d tokens were asked for", g.limit)
	}
	g.filter.stops = slices.DeleteFunc(g.options.stopStrings, func(stop string) bool { return stop == "" })
	if s.model.tokenizer != nil {
		g.decoder = s.model.tokenizer.NewDecoder(tokenizer.DecodeOptions{Continue: len(s.tokens)+len(g.prompt) > 1})
	} else if len(g.filter.stops) > 0 {
		return g, fmt.Errorf("mneme: stop strings: %w", ErrNoTokenizer)
	}
	g.chain, err = g.newChain()
	return g, err
}

// room is how much is written after a prompt of so many tokens unless more is asked for: until the text is as long as the
// model was trained for, or as the sequence can hold if that is less. Where rows are dropped it is as much after any text.
func (s *Session) room(prompt int) int {
	length := s.model.net.ContextLength
	if limit := s.sequence.Limit(); limit > 0 {
		length = min(length, limit)
	}
	if e := s.sequence.Eviction; e != nil && e.Bounded() {
		return length
	}
	return max(0, length-len(s.tokens)-prompt)
}

// newChain makes the sampler and tells it what has been said so far.
func (g *generation) newChain() (*sample.Chain, error) {
	o := g.options.sampling
	if o.ContextSize == 0 {
		o.ContextSize = g.model.net.ContextLength
	}
	if o.Vocabulary == nil && g.model.tokenizer != nil {
		o.Vocabulary = vocabulary{g.model.tokenizer}
	}
	chain, err := sample.New(o)
	if err != nil {
		return nil, err
	}
	text := slices.Concat(g.tokens, g.prompt)
	if g.options.sampleOn && len(g.sampler) > 0 {
		if err := chain.Restore(g.sampler); err != nil {
			return nil, err
		}
		text = text[min(g.samplerAt, len(text)):] // the state has what came before
	}
	for _, id := range text {
		chain.Accept(id)
	}
	return chain, nil
}

// vocabulary is the tokenizer as samplers see it.
type vocabulary struct{ *tokenizer.Tokenizer }

// Encode encodes a text literally.
func (v vocabulary) Encode(text string) ([]int32, error) {
	return v.Tokenizer.Encode(text, tokenizer.EncodeOptions{}), nil
}

// run reads the prompt and writes until there is a reason to stop.
func (g *generation) run(ctx context.Context, yield func(Token, error) bool) error {
	keep := func(_ int, logits []float32) error {
		g.logits = append(g.logits[:0], logits...)
		return nil
	}
	if err := g.readOn(ctx, g.prompt, g.Session.options.block, false, keep); err != nil {
		return err
	}
	stop, end := stopWith(ctx)
	defer end()
	for n := 0; n < g.limit; n++ {
		start := time.Now()
		if n > 0 {
			if err := g.step(ctx, stop); err != nil {
				return err
			}
		}
		token, err := g.choose()
		g.update(func(st *Stats) { st.DecodeTime += time.Since(start) })
		if err != nil {
			return err
		}
		if g.ends(token.ID) {
			return nil
		}
		g.update(func(st *Stats) { st.GeneratedTokens++ })
		free, found := g.filter.add(token)
		if !g.hand(free, yield) {
			return nil
		}
		if found {
			g.reason, g.decoder = StopString, nil
			return nil
		}
	}
	g.reason = g.full
	return nil
}

// keepSampler notes where the sampler stands, for a generation that goes on from there.
func (g *generation) keepSampler() {
	if g.chain == nil {
		return
	}
	state, err := g.chain.State()
	if err != nil {
		state = nil // there is nothing to go on from
	}
	g.sampler, g.samplerAt = state, g.Len()
}

// hand gives tokens to the caller and reports whether it wants more.
func (g *generation) hand(tokens []Token, yield func(Token, error) bool) bool {
	for _, t := range tokens {
		if !yield(t, nil) {
			g.reason, g.left = StopCaller, true
			return false
		}
	}
	return true
}

// finish hands out what was held back.
func (g *generation) finish(yield func(Token, error) bool) {
	if g.left {
		return
	}
	rest := g.filter.rest()
	if g.decoder != nil {
		if text := g.decoder.Flush(); text != "" {
			rest = append(rest, Token{ID: -1, Text: text})
		}
	}
	g.hand(rest, yield)
}

// step has the model read the token that it wrote last.
func (g *generation) step(ctx context.Context, stop *atomic.Bool) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(g.tokens)%pageTokens == 0 {
		if err := g.reserve(1); err != nil {
			return err
		}
	}
	if err := g.makeRoomForOne(stop); err != nil {
		return stopped(ctx, err)
	}
	err := g.forward(g.pending, stop, func(int) bool { return true }, func(_ int, logits []float32) {
		g.logits = append(g.logits[:0], logits...)
	})
	if err != nil {
		return stopped(ctx, err)
	}
	g.pending = g.pending[:0]
	return nil
}

// pageTokens is how often the cache takes a new page.
const pageTokens = 128

// choose samples the next token. It becomes part of the text.
func (g *generation) choose() (Token, error) {
	if landmark, ok := g.sequence.Landmark(); ok { // it is no token of a text
		g.logits[landmark] = float32(math.Inf(-1))
	}
	id, err := g.chain.Sample(g.logits)
	if err != nil {
		return Token{}, fmt.Errorf("mneme: after %d tokens: %w", len(g.tokens), err)
	}
	g.chain.Accept(id)
	g.pending = append(g.pending, id)
	token := Token{ID: id}
	if g.decoder != nil {
		token.Text = g.decoder.Next(id)
	}
	if g.options.logProbs {
		token.LogProb, err = sample.LogProb(g.logits, id)
	}
	return token, err
}

// ends reports whether a token ends the text.
func (g *generation) ends(id int32) bool {
	switch {
	case slices.Contains(g.options.stopTokens, id):
		g.reason = StopToken
	case !g.options.ignoreEnd && g.model.tokenizer != nil && g.model.tokenizer.IsEndOfGeneration(id):
		g.reason = StopEnd
	default:
		return false
	}
	return true
}
