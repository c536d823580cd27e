package mneme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// Conversation is a talk of any length that a model remembers in episodes (EpiCache: Kim et al. 2025, arXiv 2509.17396):
// what was said is cut into segments, segments about the same are an episode, and for each episode there is a KV cache
// within the budget, which holds of the whole talk what matters to that episode. A question is answered from the cache of
// the episode that it is nearest to. One goroutine at a time may use it.
type Conversation struct {
	model   *Model
	options conversationOptions
	session *Session // in which questions are asked: of the active episode
	busy    atomic.Bool

	said     []episodic.Utterance
	built    int // how many of them the episodes were built from
	read     int // how many of them some episode has read
	episodes []episode
	active   int // the episode in session; -1: none
	mean     []float64
	known    map[string][]float32 // embeddings by text, before they are centred
}

// episode is one topic with its cache.
type episode struct {
	centroid []float32
	prompt   []int32   // by which its rows are scored
	segments []int     // numbers of its segments
	cache    *Snapshot // while it is not in use; nil: it is in file
	file     string    // in the conversation's folder

	lineEnded bool // its text ends with a line break
}

// ConversationOption configures NewConversation.
type ConversationOption func(*conversationOptions)

type conversationOptions struct {
	episodes        int
	width           int
	representatives int
	split           bool
	seed            uint64
	below           float64
	routing         episodic.Similarity
	embedder        Embedder
	sigma           []float64
	allocation      episodic.Allocation
	folder          string
	independent     bool
	asker, answerer string
	progress        func(BuildProgress)
	session         []SessionOption
}

// WithEpisodes sets how many episodes a conversation is put into: 4 unless said otherwise.
func WithEpisodes(n int) ConversationOption { return func(o *conversationOptions) { o.episodes = n } }

// WithSegmentWidth sets how many utterances make a segment: 4 unless said otherwise.
func WithSegmentWidth(utterances int) ConversationOption {
	return func(o *conversationOptions) { o.width = utterances }
}

// WithRepresentatives sets how many segments stand for an episode in the prompt that its rows are scored by, as far as half
// a prefill block has room for them: 8 unless said otherwise, as in the authors' code. The paper defines 1.
func WithRepresentatives(segments int) ConversationOption {
	return func(o *conversationOptions) { o.representatives = segments }
}

// WithLongUtterancesSplit has utterances of more than 500 characters count as many as they have sentences where segments are
// made, as the authors' code does for the answers of assistants (see [episodic.SplitLong]).
func WithLongUtterancesSplit() ConversationOption {
	return func(o *conversationOptions) { o.split = true }
}

// WithClusterSeed sets the seed of the clustering.
func WithClusterSeed(seed uint64) ConversationOption {
	return func(o *conversationOptions) { o.seed = seed }
}

// WithNewEpisodeBelow opens a new, empty episode for a question whose similarity with the nearest one is less. Unless it is
// given, there never is one: what similarities mean depends on the embedder.
func WithNewEpisodeBelow(similarity float64) ConversationOption {
	return func(o *conversationOptions) { o.below = similarity }
}

// WithRouting chooses how a question is compared with episodes: by cosine, as in the paper and unless said otherwise, or by
// the dot product, as in the authors' code.
func WithRouting(rule episodic.Similarity) ConversationOption {
	return func(o *conversationOptions) { o.routing = rule }
}

// WithEmbedder sets what compares texts, in place of the model's own hidden states.
func WithEmbedder(e Embedder) ConversationOption {
	return func(o *conversationOptions) { o.embedder = e }
}

// WithSensitivity shares the budget out among layers by how much each suffers when a text is read in blocks, sigma (see
// [Model.Sensitivity]), instead of evenly. Keys of the first layer do not depend on what was read before: it is given no rows
// by a rule without a floor, which no policy can do with.
func WithSensitivity(sigma []float64, rule episodic.Allocation) ConversationOption {
	return func(o *conversationOptions) { o.sigma, o.allocation = slices.Clone(sigma), rule }
}

// WithEpisodeFolder keeps the episodes that are not in use in files of a folder, mapped when they are needed, instead of in
// memory. A conversation whose folder holds it already is taken up from there.
func WithEpisodeFolder(path string) ConversationOption {
	return func(o *conversationOptions) { o.folder = path }
}

// WithIndependentQuestions forgets each question and its answer once it is answered.
func WithIndependentQuestions() ConversationOption {
	return func(o *conversationOptions) { o.independent = true }
}

// WithSpeakers names who asks and who answers: "User" and "Assistant" unless said otherwise.
func WithSpeakers(asker, answerer string) ConversationOption {
	return func(o *conversationOptions) { o.asker, o.answerer = asker, answerer }
}

// BuildProgress is how far the building of the episodes has come. First the segments are embedded, then each episode reads
// the whole conversation.
type BuildProgress struct {
	Episode, Episodes int // the one that reads, from 1, of so many; 0 while segments are embedded
	Done, Total       int // segments that are embedded, tokens that the episode has read
}

// WithBuildProgress has a function called as the building of episodes goes on, in the goroutine that asks.
func WithBuildProgress(progress func(BuildProgress)) ConversationOption {
	return func(o *conversationOptions) { o.progress = progress }
}

// WithSession sets the budget, the row type, the prefill block and, as episodic:key=value, the parameters of the policy. The
// budget is DefaultEpisodeBudget unless said otherwise.
func WithSession(opts ...SessionOption) ConversationOption {
	return func(o *conversationOptions) { o.session = append(o.session, opts...) }
}

// DefaultEpisodeBudget is the number of rows per KV head that an episode's cache holds unless WithSession says otherwise.
const DefaultEpisodeBudget = 2048

// NewConversation begins a conversation.
func NewConversation(m *Model, opts ...ConversationOption) (*Conversation, error) {
	o := conversationOptions{
		episodes: episodic.Episodes, width: episodic.SegmentWidth, representatives: episodic.RepresentativeSegments,
		below: -2, embedder: m.HiddenStates(), asker: "User", answerer: "Assistant", seed: 42,
	}
	for _, opt := range opts {
		opt(&o)
	}
	if m.tokenizer == nil {
		return nil, fmt.Errorf("mneme: a conversation: %w", ErrNoTokenizer)
	}
	c := &Conversation{model: m, options: o, active: -1, known: map[string][]float32{}}
	if err := c.check(); err != nil {
		return nil, err
	}
	budgets, block, err := c.budgets()
	if err != nil {
		return nil, err
	}
	if _, err := c.newSession(slices.Clone(budgets)); err != nil { // as they are made when episodes are built
		return nil, err
	}
	for l := range budgets { // what is said is appended to an episode until it is a block over its budget
		budgets[l] += block
	}
	if c.session, err = c.newSession(budgets); err != nil {
		return nil, err
	}
	if o.folder != "" {
		if err := c.reopen(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Conversation) check() error {
	o := &c.options
	switch {
	case o.episodes < 1:
		return fmt.Errorf("mneme: %d episodes", o.episodes)
	case o.width < 1:
		return fmt.Errorf("mneme: segments of %d utterances", o.width)
	case o.representatives < 1:
		return fmt.Errorf("mneme: %d segments to represent an episode", o.representatives)
	case o.embedder == nil:
		return errors.New("mneme: no embedder")
	}
	return nil
}

// budgets are the rows per KV head of each layer of an episode's cache, and the prefill block.
func (c *Conversation) budgets() (budgets []int, block int, err error) {
	o, err := newSessionOptions(c.options.session)
	if err != nil {
		return nil, 0, err
	}
	layers := c.model.net.Layers
	mean := o.budget
	if mean == 0 {
		mean = DefaultEpisodeBudget
	}
	switch {
	case o.budgets != nil:
		return o.budgets, o.block, nil
	case c.options.sigma == nil:
		return slices.Repeat([]int{mean}, layers), o.block, nil
	case len(c.options.sigma) != layers:
		return nil, 0, fmt.Errorf("mneme: the sensitivity of %d layers, the model has %d", len(c.options.sigma), layers)
	}
	budgets, err = episodic.Allocate(c.options.sigma, mean, c.options.allocation)
	return budgets, o.block, err
}

// newSession makes a session with the conversation's policy and these budgets.
func (c *Conversation) newSession(budgets []int) (*Session, error) {
	o, err := newSessionOptions(c.options.session)
	if err != nil {
		return nil, err
	}
	if o.store != "" {
		return nil, errors.New("mneme: a conversation keeps episodes within a budget: its keys and values lie in memory, or in its folder, not in a file of a session")
	}
	policy := o.policy
	if policy == "" || policy == kvcache.Full {
		policy = kvcache.Episodic
	}
	if name, _, _ := strings.Cut(policy, ":"); name != kvcache.Episodic {
		return nil, fmt.Errorf("mneme: a conversation has policy %s, not %s", kvcache.Episodic, name)
	}
	opts := slices.Concat(c.options.session, []SessionOption{WithPolicy(policy), WithKVBudget(0), WithLayerBudgets(budgets)})
	return c.model.NewSession(opts...)
}

// Add adds what somebody says to the conversation.
func (c *Conversation) Add(speaker, text string) {
	c.AddUtterance(episodic.Utterance{Speaker: speaker, Text: text})
}

// AddUtterance is Add for what may also begin a day.
func (c *Conversation) AddUtterance(u episodic.Utterance) { c.said = append(c.said, u) }

// Utterances returns what was said so far.
func (c *Conversation) Utterances() []episodic.Utterance { return slices.Clone(c.said) }

// Save keeps what the episode in use has become in the conversation's folder; without a folder it does nothing. It also
// happens whenever another episode comes into use.
func (c *Conversation) Save() error {
	if !c.busy.CompareAndSwap(false, true) {
		return ErrBusy
	}
	defer c.busy.Store(false)
	return c.writeBack()
}

// Episodes is the number of episodes that there are.
func (c *Conversation) Episodes() int { return len(c.episodes) }

// Answer is the answer to a question.
type Answer struct {
	Text       string
	Tokens     []int32
	Episode    int        // that it comes from
	Similarity float64    // of the question with it
	Opened     bool       // the episode is new
	Stopped    StopReason // why the answer ends
	Memory     Memory     // of the episode's cache
	Inactive   int64      // bytes of the other episodes' caches, in memory

	BuildTime     time.Duration // that building episodes took, if they had to be built for the question
	BeyondTrained int           // how many tokens the conversation is longer than what the model was trained for
}

// Ask has the model answer a question from the episode that it belongs to. The answer ends with the line unless opts say
// otherwise, and is chosen greedily. If there is something to build the episodes from, and they have not been built, or have
// no room for more, they are built first, which takes as many passes over the conversation as there are episodes.
//
// What was said since the episodes were built is read by the episode of the next question, which keeps it, as it keeps the
// question and the answer, unless questions are independent of each other.
func (c *Conversation) Ask(ctx context.Context, question string, opts ...Option) (Answer, error) {
	if !c.busy.CompareAndSwap(false, true) {
		return Answer{}, ErrBusy
	}
	defer c.busy.Store(false)
	if strings.TrimSpace(question) == "" {
		return Answer{}, errors.New("mneme: the question is empty")
	}
	var building time.Duration
	build := func() error {
		start := time.Now()
		err := c.build(ctx)
		building += time.Since(start)
		return err
	}
	if c.episodes == nil {
		if err := build(); err != nil {
			return Answer{}, err
		}
	}
	a, prompt, err := c.prepare(ctx, question)
	if err == nil && c.built < len(c.said) && c.session.sequence.Eviction.Over(c.session.sequence.Cache, len(prompt)) {
		c.closeOpened(a)
		if err = build(); err == nil { // the episode is full
			a, prompt, err = c.prepare(ctx, question)
		}
	}
	if err != nil {
		c.closeOpened(a)
		return Answer{}, err
	}
	a.BuildTime = building
	answer, err := c.answer(ctx, question, prompt, a, opts)
	if err != nil || c.options.independent {
		c.closeOpened(a)
	}
	return answer, err
}

// closeOpened forgets the episode that was opened for a question of which nothing stays.
func (c *Conversation) closeOpened(a Answer) {
	if !a.Opened || a.Episode != len(c.episodes)-1 || c.episodes[a.Episode].segments != nil {
		return
	}
	c.episodes = c.episodes[:a.Episode]
	if c.active == a.Episode {
		c.active = -1
	}
}

// prepare brings the episode of a question into use, and returns what the model reads for the question: what was said and
// not read yet before it.
func (c *Conversation) prepare(ctx context.Context, question string) (a Answer, prompt []int32, err error) {
	if a, err = c.route(ctx, question); err != nil {
		return a, nil, err
	}
	if err := c.activate(a.Episode); err != nil {
		return a, nil, err
	}
	begins := c.session.Len() == 0
	var text strings.Builder
	if !begins && !c.episodes[c.active].lineEnded {
		text.WriteByte('\n')
	}
	for _, u := range c.said[c.read:] {
		writeUtterance(&text, u)
	}
	writeUtterance(&text, episodic.Utterance{Speaker: c.options.asker, Text: question})
	text.WriteString(c.options.answerer)
	text.WriteByte(':')
	return a, c.encode(text.String(), begins), nil
}

// answer has the active episode answer.
func (c *Conversation) answer(ctx context.Context, question string, prompt []int32, a Answer, opts []Option) (Answer, error) {
	before, err := c.session.Snapshot()
	if err != nil {
		return Answer{}, err
	}
	opts = append([]Option{WithTemperature(0), WithStop("\n")}, opts...)
	var text strings.Builder
	for token, err := range c.session.GenerateTokens(ctx, prompt, opts...) {
		if err != nil {
			return Answer{}, errors.Join(err, c.session.Restore(before))
		}
		text.WriteString(token.Text)
		if token.ID >= 0 {
			a.Tokens = append(a.Tokens, token.ID)
		}
	}
	st := c.session.Stats()
	a.Text, a.Stopped, a.Memory, a.Inactive = unquote(text.String()), st.Stopped, st.Memory, c.inactiveBytes()
	a.BeyondTrained = st.BeyondTrained
	if c.options.independent {
		return a, c.session.Restore(before)
	}
	return a, c.remember(question, a)
}

// remember makes the question and its answer part of what was said, and of the active episode.
func (c *Conversation) remember(question string, a Answer) error {
	c.said = append(c.said,
		episodic.Utterance{Speaker: c.options.asker, Text: question}, episodic.Utterance{Speaker: c.options.answerer, Text: a.Text})
	c.read = len(c.said)
	c.episodes[c.active].lineEnded = a.Stopped == StopString
	if a.Stopped != StopEnd && a.Stopped != StopToken {
		return nil
	}
	// What ended the answer does not belong between it and what is said next.
	return c.session.Truncate(c.session.Len() - len(c.session.pending))
}

// unquote takes the quotation marks off that utterances have in a history.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, `"`); ok {
		s = strings.TrimSuffix(rest, `"`)
	}
	return s
}

// inactiveBytes is the memory of the episodes that are not in use.
func (c *Conversation) inactiveBytes() int64 {
	var n int64
	for i := range c.episodes {
		if e := &c.episodes[i]; i != c.active && e.cache != nil {
			n += e.cache.Bytes()
		}
	}
	return n
}
