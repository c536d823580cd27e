package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
)

// DefaultWindow is the number of tokens in a window unless PerplexityOptions says otherwise, or the model was trained
// for fewer.
const DefaultWindow = 512

// PerplexityOptions says how a text is cut up and read.
type PerplexityOptions struct {
	// Window is the number of tokens that the model reads at a time. 0: DefaultWindow, or what the model was trained for
	// if that is less.
	Window int
	// Chunks is how many windows are read at most. 0: as many as the text has.
	Chunks int
	// Stream reads the text as one, however long: every token but the first is scored, after all that came before it.
	// Window and Chunks have no meaning then.
	Stream bool
	// Part is the number of tokens of a stream after which its perplexity is reported beside that of the whole. 0: no
	// parts.
	Part int
	// Tokens takes the first tokens of the text, as many as it has if that is less. 0: all.
	Tokens int
	// Session configures the session that reads.
	Session []mneme.SessionOption
	// Progress, if it is set, is called now and then with the number of tokens done so far and in all.
	Progress func(done, total int)
}

// PerplexityResult says how well a model predicts a text.
type PerplexityResult struct {
	Perplexity float64       // exp(MeanNLL)
	StdErr     float64       // standard error of Perplexity: its own times that of MeanNLL
	MeanNLL    float64       // mean negative log-likelihood of the scored tokens, nats
	Tokens     int           // of the text that took part
	Scored     int           // of those
	Windows    int           // 1 for a stream
	Window     int           // tokens in each
	Parts      []Part        // of a stream
	Elapsed    time.Duration // without the tokenizer's
	// AttentionMass is the share of the attention that the rows hold which queries open, in the mean of the last tokens of
	// windows, or of a stream's parts: 1 where they open all, 0 where it cannot be told, beside a learned memory.
	AttentionMass float64
	// OpensSome says that the session's queries open some of the rows that they may see.
	OpensSome bool
	// BeyondTrained is how many tokens a window is longer than what the model was trained for.
	BeyondTrained int
	Memory        mneme.Memory // after the last window
}

// Part is a stretch of a stream.
type Part struct {
	First      int     // number of its first scored token in the text
	Scored     int     // tokens
	Perplexity float64 // of these alone
	Elapsed    time.Duration
	// AttentionMass is the share of the attention of its last token's queries that the rows hold which they open: 1 where
	// they open all, 0 where it cannot be told.
	AttentionMass float64
}

// TokensPerSecond is the speed of a part.
func (p Part) TokensPerSecond() float64 { return rate(p.Scored, p.Elapsed) }

func rate(tokens int, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return float64(tokens) / elapsed.Seconds()
}

// TokensPerSecond is the speed of the measurement.
func (r PerplexityResult) TokensPerSecond() float64 { return rate(r.Tokens, r.Elapsed) }

// Perplexity measures how well a model predicts a text.
//
// The method is llama.cpp's: the text, with BOS before it if the model asks for one, is cut into windows of equal
// length, and what is left at its end is dropped. BOS takes the place of the first token in each. The model reads every
// window on its own, and the tokens of its second half are scored, so that each has at least half a window before it.
// Control tokens spelled in the text are text.
func Perplexity(ctx context.Context, m *mneme.Model, text string, o PerplexityOptions) (PerplexityResult, error) {
	t := m.Tokenizer()
	if t == nil {
		return PerplexityResult{}, fmt.Errorf("bench: perplexity of a text: %w", mneme.ErrNoTokenizer)
	}
	tokens := t.Encode(text, tokenizer.EncodeOptions{})
	if bos, ok := t.BOS(); ok && t.AddsBOS() {
		tokens = append([]int32{bos}, tokens...)
	}
	return PerplexityTokens(ctx, m, tokens, o)
}

// PerplexityTokens is Perplexity for a text of token ids, which begins with BOS if the model asks for one.
func PerplexityTokens(ctx context.Context, m *mneme.Model, tokens []int32, o PerplexityOptions) (PerplexityResult, error) {
	p, err := newPerplexity(m, tokens, o)
	if err != nil {
		return PerplexityResult{}, fmt.Errorf("bench: perplexity: %w", err)
	}
	if err := errors.Join(p.run(ctx), p.session.Close()); err != nil {
		return PerplexityResult{}, fmt.Errorf("bench: perplexity: %w", err)
	}
	r := p.result()
	if math.IsInf(r.Perplexity, 0) || math.IsInf(r.StdErr, 0) {
		return PerplexityResult{}, fmt.Errorf("bench: perplexity: too large for a number: the mean negative log-likelihood is %g", r.MeanNLL)
	}
	return r, nil
}

// perplexity is one measurement.
type perplexity struct {
	session *mneme.Session
	tokens  []int32
	window  int
	windows int
	first   int   // position in a window whose logits are the first to be scored
	bos     int32 // -1: none

	progress func(done, total int)
	nll      moments
	part     moments // of the part under way
	partSize int     // 0: no parts
	parts    []Part
	mass     moments // of attention
	elapsed  time.Duration
	beyond   int
}

func newPerplexity(m *mneme.Model, tokens []int32, o PerplexityOptions) (*perplexity, error) {
	if o.Window < 0 || o.Chunks < 0 || o.Tokens < 0 || o.Part < 0 {
		return nil, fmt.Errorf("%d windows of %d in the first %d tokens, parts of %d: want no negative number", o.Chunks, o.Window, o.Tokens, o.Part)
	}
	if o.Tokens > 0 {
		tokens = slices.Clone(tokens[:min(o.Tokens, len(tokens))]) // the rest need not stay
	}
	p := &perplexity{tokens: tokens, window: o.Window, bos: -1, progress: o.Progress}
	if p.progress == nil {
		p.progress = func(int, int) {}
	}
	if err := p.cut(m, o); err != nil {
		return nil, err
	}
	var err error
	p.session, err = m.NewSession(append(o.Session[:len(o.Session):len(o.Session)], mneme.WithContext(p.window))...)
	return p, err
}

// cut decides about the windows.
func (p *perplexity) cut(m *mneme.Model, o PerplexityOptions) error {
	if o.Stream {
		p.partSize = o.Part
		if len(p.tokens) < 2 {
			return fmt.Errorf("the text has %d tokens: of two or more, all but the first are scored", len(p.tokens))
		}
		p.window, p.windows = len(p.tokens), 1
		return nil
	}
	if p.window == 0 {
		p.window = min(DefaultWindow, m.Config().ContextLength)
	}
	p.first = p.window / 2
	if p.window-1-p.first < 1 {
		return fmt.Errorf("nothing to score in windows of %d tokens: want at least 3", p.window)
	}
	p.windows = len(p.tokens) / p.window
	if p.windows == 0 {
		return fmt.Errorf("the text has %d tokens, a window %d", len(p.tokens), p.window)
	}
	if o.Chunks > 0 {
		p.windows = min(p.windows, o.Chunks)
	}
	if t := m.Tokenizer(); t != nil && t.AddsBOS() {
		if bos, ok := t.BOS(); ok {
			p.bos = bos
		}
	}
	return nil
}

func (p *perplexity) run(ctx context.Context) error {
	for i := range p.windows {
		if err := p.read(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// read has the model read window i and scores it.
func (p *perplexity) read(ctx context.Context, i int) error {
	begin := i * p.window
	window := p.tokens[begin : begin+p.window]
	if p.bos >= 0 {
		window = append([]int32{p.bos}, window[1:]...)
	}
	if err := p.session.Truncate(0); err != nil {
		return err
	}
	start := time.Now()
	if p.first > 0 {
		if err := p.session.Evaluate(ctx, window[:p.first], nil); err != nil {
			return err
		}
		p.progress(begin+p.first, p.windows*p.window)
	}
	p.elapsed += time.Since(start)
	step := p.window
	if p.partSize > 0 {
		step = p.partSize
	}
	for from := p.first; from < p.window-1; from += step {
		if err := p.score(ctx, begin, window, from, min(from+step, p.window-1)); err != nil {
			return err
		}
	}
	p.beyond = max(p.beyond, p.session.Stats().BeyondTrained)
	return nil
}

// score has the model read tokens [from, to) of a window, and scores what it predicts after each: a part of a stream.
func (p *perplexity) score(ctx context.Context, begin int, window []int32, from, to int) error {
	start := time.Now()
	p.part = moments{}
	err := p.session.Evaluate(ctx, window[from:to], func(j int, logits []float32) error {
		next := from + j + 1
		logProb, err := sample.LogProb(logits, window[next])
		if err == nil && math.IsInf(logProb, 0) {
			err = errors.New("its probability is 0")
		}
		if err != nil {
			return fmt.Errorf("token %d of the text (id %d): %w", begin+next, window[next], err)
		}
		p.nll.add(-logProb)
		p.part.add(-logProb)
		p.progress(begin+next+1, p.windows*p.window)
		return nil
	})
	if err != nil {
		return err
	}
	elapsed := time.Since(start)
	p.elapsed += elapsed
	mass, err := p.session.AttentionMass(ctx)
	switch {
	case err == nil:
		p.mass.add(mass)
	case !errors.Is(err, mneme.ErrLearned):
		return err
	}
	if p.partSize > 0 {
		p.parts = append(p.parts, Part{
			First: from + 1, Scored: p.part.n, Perplexity: math.Exp(p.part.mean()), Elapsed: elapsed, AttentionMass: mass,
		})
	}
	return nil
}

func (p *perplexity) result() PerplexityResult {
	mean := p.nll.mean()
	return PerplexityResult{
		Perplexity:    math.Exp(mean),
		StdErr:        math.Exp(mean) * p.nll.standardError(),
		MeanNLL:       mean,
		Tokens:        p.windows * p.window,
		Scored:        p.nll.n,
		Windows:       p.windows,
		Window:        p.window,
		Parts:         p.parts,
		Elapsed:       p.elapsed,
		AttentionMass: p.mass.mean(),
		OpensSome:     p.session.OpensSome(),
		BeyondTrained: p.beyond,
		Memory:        p.session.Stats().Memory,
	}
}
