package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/kvcache/episodic"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// askCommand answers questions about a long conversation.
type askCommand struct {
	*app
	model    modelFlags
	history  historyFlags
	question questionFlags
	episodes episodeFlags
	memory   memoryFlags
	sampling samplingFlags

	predict int
	verbose bool
}

// askResult is what ask --json prints of one question.
type askResult struct {
	Question      string           `json:"question"`
	Text          string           `json:"text"`
	Tokens        []int32          `json:"tokens"`
	Episode       int              `json:"episode"`
	Episodes      int              `json:"episodes"`
	Opened        bool             `json:"opened"` // the episode, for this question
	Similarity    float64          `json:"similarity"`
	Stop          mneme.StopReason `json:"stop"`
	Seed          uint64           `json:"seed"`
	BeyondTrained int              `json:"beyond_trained"`
	Timings       askTimings       `json:"timings"`
	Memory        mneme.Memory     `json:"memory"`
	InactiveBytes int64            `json:"inactive_bytes"` // of the other episodes, in memory
}

type askTimings struct {
	Build  float64 `json:"build_seconds"` // 0: the episodes were there
	Answer float64 `json:"answer_seconds"`
}

func newAsk(a *app) *cobra.Command {
	c := &askCommand{app: a}
	cmd := &cobra.Command{
		Use:   "ask -m FILE --history FILE -p QUESTION",
		Short: "Answer questions about a long conversation",
		Long: "ask has the model read a conversation of any length into a few caches within a budget, each for an episode, what\n" +
			"belongs together in it, and answers a question from the cache of the episode that it is nearest to (EpiCache, arXiv\n" +
			"2509.17396). Questions do not depend on each other. An answer ends with its line. Building the episodes takes as many\n" +
			"readings of the conversation as there are episodes: with --episodes-dir that is done once.",
		Example: `  infer ask -m model.gguf --history chat.jsonl -p "When did Ann move to Oslo?"
  infer ask -m model.gguf --history locomo10.json --conversation 0 -p "Where does Melanie run?" --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	c.question.add(cmd)
	c.history.add(cmd)
	c.episodes.add(cmd)
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.IntVarP(&c.predict, "predict", "n", 128, "`number` of tokens that an answer has at most")
		set.BoolVarP(&c.verbose, "verbose", "v", false, "print episode, speed and memory of each answer on stderr")
	})
	c.addMemory(cmd)
	c.sampling.add(cmd)
	c.sampling.options.Temperature = 0
	cmd.Flags().Lookup("temp").DefValue = "0"
	return cmd
}

// addMemory gives the command the memory flags, as they are for episodes.
func (c *askCommand) addMemory(cmd *cobra.Command) {
	c.memory.add(cmd, "")
	c.memory.cache, c.memory.budget = kvcache.Episodic, mneme.DefaultEpisodeBudget
	set := cmd.Flags()
	kv, budget := set.Lookup("kv"), set.Lookup("kv-budget")
	kv.DefValue, kv.Usage = kvcache.Episodic, "`policy` of the episodes' caches: episodic; episodic:key=value,… gives parameters (see infer policies)"
	budget.DefValue, budget.Usage = fmt.Sprint(c.memory.budget), "`number` of rows that each episode keeps per KV head, the mean over layers"
	set.MarkHidden("ctx") // a conversation may be of any length
}

func (c *askCommand) run(cmd *cobra.Command) (err error) {
	defer func() { c.memory.finish(&err) }()
	q, err := c.check(cmd)
	if err != nil {
		return err
	}
	said, err := c.history.read(cmd.Context(), c.app)
	if err != nil {
		return err
	}
	texts, err := c.question.read(cmd.Context(), c.app)
	if err != nil {
		return err
	}
	profile, err := c.episodes.readProfile(c.model.path)
	if err != nil {
		return err
	}
	m, err := c.model.open(c.app)
	if err != nil {
		return err
	}
	defer m.Close()
	if m.Tokenizer() == nil {
		return inFile(c.model.path, mneme.ErrNoTokenizer)
	}
	if err := checkBiases(m, q.sampling); err != nil {
		return err
	}
	q.m = m
	if err := q.begin(said, profile); err != nil {
		return err
	}
	for _, text := range texts {
		if err := q.ask(cmd.Context(), text); err != nil {
			return err
		}
	}
	return q.finish()
}

// check finds what is wrong before anything is read.
func (c *askCommand) check(cmd *cobra.Command) (*questions, error) {
	q := &questions{askCommand: c}
	if err := c.model.check(); err != nil {
		return nil, err
	}
	if err := c.question.check(cmd); err != nil {
		return nil, err
	}
	if err := c.history.check(cmd); err != nil {
		return nil, err
	}
	if err := c.episodes.check(cmd); err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(c.memory.cache, ":")
	switch {
	case c.history.path == "-" && c.question.file == "-":
		return nil, usagef("--history and --file: both from standard input")
	case c.predict < 1:
		return nil, usagef("-n is %d, want 1 or more", c.predict)
	case cmd.Flags().Changed("ctx"):
		return nil, usagef("--ctx: a conversation may be of any length; what is kept of it is --kv-budget's affair")
	case name != kvcache.Episodic:
		return nil, usagef("--kv %s: a conversation is remembered in episodes, by policy %s", c.memory.cache, kvcache.Episodic)
	}
	var err error
	if q.sampling, err = c.sampling.resolve(cmd, c.question.unescape); err != nil {
		return nil, err
	}
	q.session, err = c.memory.options()
	return q, err
}

// questions is one run of the model.
type questions struct {
	*askCommand
	m        *mneme.Model
	sampling sample.Options
	session  []mneme.SessionOption

	conversation *mneme.Conversation
	bar          *progress // of the building of episodes, while it goes on
	embedding    bool      // what the bar is about
	answers      []askResult
}

// begin makes the conversation, or takes it up from the folder.
func (q *questions) begin(said []episodic.Utterance, profile *episodic.Profile) error {
	options, err := q.episodes.options(q.m, profile)
	if err != nil {
		return err
	}
	session := append(q.session, mneme.WithContext(q.announced(said)))
	options = append(options, mneme.WithIndependentQuestions(), mneme.WithSpeakers(q.history.asker, q.history.answerer),
		mneme.WithSession(session...), mneme.WithBuildProgress(q.progress))
	if q.conversation, err = mneme.NewConversation(q.m, options...); err != nil {
		return err
	}
	have := q.conversation.Utterances()
	if err := q.compare(have, said); err != nil {
		return err
	}
	for _, u := range said[len(have):] {
		q.conversation.AddUtterance(u)
	}
	return nil
}

// announced is the context that sessions are asked for, 0 unless the model's was stretched: such a model may treat a long
// text otherwise from its first token on.
func (q *questions) announced(said []episodic.Utterance) int {
	if c := q.m.Config(); c.Rope.OriginalContext >= c.ContextLength {
		return 0
	}
	const spare = 1024 // for a question, and for the tokens between utterances
	n := q.predict + spare
	for _, u := range said {
		n += len(q.m.Tokenizer().Encode("["+u.Date+"]\n"+u.Line()+"\n", tokenizer.EncodeOptions{}))
	}
	return n
}

// compare holds what the folder has against the history, which may have gone on since.
func (q *questions) compare(have, said []episodic.Utterance) error {
	for i, u := range have {
		switch {
		case i == len(said):
			return fmt.Errorf("--episodes-dir %s: it holds a conversation of %d utterances, and %s ends after %d", q.episodes.folder, len(have), q.history.path, i)
		case u != said[i]:
			return fmt.Errorf("--episodes-dir %s: it holds another conversation than %s: utterance %d is %s there, and %s here",
				q.episodes.folder, q.history.path, i, beginning(u), beginning(said[i]))
		}
	}
	return nil
}

// beginning is an utterance's, for errors.
func beginning(u episodic.Utterance) string {
	const most = 40
	line := []rune(u.Line())
	if u.Date != "" {
		line = slices.Concat([]rune("["+u.Date+"] "), line)
	}
	if len(line) > most {
		line = append(line[:most], '…')
	}
	return string(line)
}

// ask answers a question.
func (q *questions) ask(ctx context.Context, question string) error {
	start := time.Now()
	a, err := q.conversation.Ask(ctx, question, mneme.WithSampling(q.sampling), mneme.WithMaxTokens(q.predict))
	q.endBar()
	if err != nil {
		return err
	}
	r := askResult{
		Question: question, Text: a.Text, Tokens: append([]int32{}, a.Tokens...), Episode: a.Episode, Episodes: q.conversation.Episodes(),
		Opened: a.Opened, Similarity: a.Similarity, Stop: a.Stopped, Seed: q.sampling.Seed, BeyondTrained: a.BeyondTrained,
		Timings: askTimings{Build: a.BuildTime.Seconds(), Answer: (time.Since(start) - a.BuildTime).Seconds()},
		Memory:  a.Memory, InactiveBytes: a.Inactive,
	}
	q.answers = append(q.answers, r)
	if q.verbose {
		q.printStats(&r)
	}
	if q.json {
		return nil
	}
	q.printf("%s\n", a.Text)
	return q.stdout.Flush()
}

// progress shows how far the building of episodes is.
func (q *questions) progress(p mneme.BuildProgress) {
	embedding := p.Episode == 0
	if q.bar == nil || q.embedding != embedding {
		q.endBar()
		label := "building episodes"
		if embedding {
			label = "comparing segments"
		}
		q.bar, q.embedding = q.newProgress(label, false), embedding
	}
	before, episodes := int64(max(0, p.Episode-1)), int64(max(1, p.Episodes))
	q.bar.set(before*int64(p.Total)+int64(p.Done), episodes*int64(p.Total))
}

func (q *questions) endBar() {
	if q.bar != nil {
		q.bar.finish()
		q.bar = nil
	}
}

// finish prints what is left to print.
func (q *questions) finish() error {
	beyond := 0
	for i := range q.answers {
		beyond = max(beyond, q.answers[i].BeyondTrained)
	}
	q.warnBeyondTrained(q.m, beyond, kvcache.Full)
	switch {
	case !q.json:
		return nil
	case len(q.answers) == 1:
		return q.printJSON(q.answers[0])
	}
	return q.printJSON(map[string][]askResult{"answers": q.answers})
}

func (q *questions) printStats(r *askResult) {
	which := fmt.Sprintf("episode %d of %d", r.Episode, r.Episodes)
	if r.Opened {
		which = "a new episode"
	}
	built := "episodes were there"
	if r.Timings.Build > 0 {
		built = fmt.Sprintf("episodes built in %.2f s", r.Timings.Build)
	}
	fmt.Fprintf(q.stderr, "infer: from %s (similarity %.3f), which keeps %d of %d rows: %d tokens in %.2f s (stop: %s); %s; KV cache %s, %s in other episodes\n",
		which, r.Similarity, r.Memory.RowsKept, r.Memory.RowsSeen, len(r.Tokens), r.Timings.Answer, r.Stop, built,
		byteSize(r.Memory.KVBytes), byteSize(r.InactiveBytes))
}
