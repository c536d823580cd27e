package mneme

import (
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/weights/quant"
)

// DefaultPrefillBlock is the number of prompt tokens that go through the model at once unless WithPrefillBlock says
// otherwise.
const DefaultPrefillBlock = 512

// SessionOption configures NewSession.
type SessionOption func(*sessionOptions)

type sessionOptions struct {
	rows      quant.Type
	context   int
	block     int
	policy    string
	budget    int
	budgets   []int
	trace     func(Eviction)
	attention string
	memory    string
	store     string
}

// WithKVType sets the type of the rows in the KV cache: quant.F16 (the default), quant.F32 or quant.Q8_0.
func WithKVType(t quant.Type) SessionOption { return func(o *sessionOptions) { o.rows = t } }

// WithContext announces how many tokens the session is to hold; NewSession refuses what does not fit into memory. 0,
// the default, announces nothing: the cache grows with the text. Models with two sets of RoPE factors (Phi-3's
// long-context ones) need it to go beyond their original context.
func WithContext(tokens int) SessionOption { return func(o *sessionOptions) { o.context = tokens } }

// WithPrefillBlock sets how many prompt tokens go through the model at once: more are faster up to a point, and take
// more memory.
func WithPrefillBlock(tokens int) SessionOption { return func(o *sessionOptions) { o.block = tokens } }

// WithPolicy chooses what the KV cache keeps, as name:key=value,key=value: "full", the default, every token; another one
// of [Policies] as many rows as WithKVBudget says. With +think:ratio=0.4 behind it, keys of older rows lose that share of
// their channels, those that queries hardly ask for: "full+think", or "h2o:recent=64+think:ratio=0.5".
func WithPolicy(policy string) SessionOption { return func(o *sessionOptions) { o.policy = policy } }

// WithKVBudget sets how many rows the KV cache keeps per KV head, for policies other than "full". While a prompt is read,
// the rows of one block come on top of them. With an attention method that opens some of the rows it is the number of these,
// and the cache keeps all of them.
func WithKVBudget(rows int) SessionOption { return func(o *sessionOptions) { o.budget = rows } }

// WithAttention chooses how queries attend to the cache, as name:key=value,key=value, one of [AttentionMethods]: "full", to all
// rows; "chunked", to those nearby; "retrieval", to as many as WithKVBudget says, those that promise the most; "landmark",
// the same for models that were trained with landmark tokens. Empty, the default, is what the model's file says, which is
// "full" for most.
func WithAttention(method string) SessionOption {
	return func(o *sessionOptions) { o.attention = method }
}

// WithMemory chooses what becomes of the memory that the model was trained with, or that an adapter added: "auto", the default, or the name of its kind,
// "fifo" or "neural", uses it; "none" has everything that is read of it be zeros, as if nothing were ever remembered.
func WithMemory(kind string) SessionOption { return func(o *sessionOptions) { o.memory = kind } }

// WithLayerBudgets sets a budget for each layer, in place of the same for all: see WithKVBudget.
func WithLayerBudgets(rows []int) SessionOption {
	return func(o *sessionOptions) { o.budgets = slices.Clone(rows) }
}

// WithTrace has a function called for every layer and KV head that rows were dropped from.
func WithTrace(trace func(Eviction)) SessionOption {
	return func(o *sessionOptions) { o.trace = trace }
}

func (o *sessionOptions) check() error {
	if o.context < 0 {
		return fmt.Errorf("mneme: a context of %d tokens", o.context)
	}
	if o.block < 1 {
		return fmt.Errorf("mneme: a prefill block of %d tokens", o.block)
	}
	if o.budget < 0 {
		return fmt.Errorf("mneme: a budget of %d rows", o.budget)
	}
	return nil
}

// Option configures Generate.
type Option func(*generateOptions)

type generateOptions struct {
	sampling    sample.Options
	maxTokens   int
	stopStrings []string
	stopTokens  []int32
	ignoreEnd   bool
	plainPrompt bool
	logProbs    bool
	sampleOn    bool
}

// WithMaxTokens ends the generation after n tokens. Without it, it goes on to the end of the text as the model sees it,
// or to the length that the model was trained for.
func WithMaxTokens(n int) Option { return func(o *generateOptions) { o.maxTokens = n } }

// WithSampling sets how tokens are chosen. The default is sample.Default() with seed 0.
func WithSampling(s sample.Options) Option { return func(o *generateOptions) { o.sampling = s } }

// WithTemperature divides the logits by t before the choice; 0 always takes the best token.
func WithTemperature(t float64) Option {
	return func(o *generateOptions) { o.sampling.Temperature = t }
}

// WithSeed sets the seed of the choice: same seed, same text.
func WithSeed(seed uint64) Option { return func(o *generateOptions) { o.sampling.Seed = seed } }

// WithStop ends the generation before any of these strings. They are not part of the text.
func WithStop(strings ...string) Option {
	return func(o *generateOptions) { o.stopStrings = append(o.stopStrings, strings...) }
}

// WithStopTokens ends the generation at any of these tokens, beside those by which the model ends a text.
func WithStopTokens(ids ...int32) Option {
	return func(o *generateOptions) { o.stopTokens = append(o.stopTokens, ids...) }
}

// WithIgnoreEnd goes on past the tokens by which the model ends a text.
func WithIgnoreEnd() Option { return func(o *generateOptions) { o.ignoreEnd = true } }

// WithPlainPrompt takes the prompt literally: what looks like a control token in it is text. Use it for text that comes
// from elsewhere.
func WithPlainPrompt() Option { return func(o *generateOptions) { o.plainPrompt = true } }

// WithSamplingContinued goes on with the random numbers where the session's last generation left off, also when the
// session was saved and loaded between, instead of beginning anew from the seed: a text written in two pieces is then the
// text written in one.
func WithSamplingContinued() Option { return func(o *generateOptions) { o.sampleOn = true } }

// WithLogProbs has every token come with its log probability.
func WithLogProbs() Option { return func(o *generateOptions) { o.logProbs = true } }
