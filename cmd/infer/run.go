package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runCommand continues a text.
type runCommand struct {
	*app
	model    modelFlags
	prompt   promptFlags
	memory   memoryFlags
	sampling samplingFlags

	predict   int
	stop      []string
	ignoreEOS bool
	hide      bool
	verbose   bool
	file      string // of the session
}

// runResult is what run --json prints.
type runResult struct {
	PromptTokens  []int32          `json:"prompt_tokens"`
	PromptReused  int              `json:"prompt_reused"` // of these, how many the session had read already
	Tokens        []int32          `json:"tokens"`
	Text          string           `json:"text"`
	Stop          mneme.StopReason `json:"stop"`
	Seed          uint64           `json:"seed"`
	BeyondTrained int              `json:"beyond_trained"`
	Timings       timings          `json:"timings"`
	// AttentionMass is the share of the attention of the last token's queries that the rows hold which they open.
	AttentionMass *float64     `json:"attention_mass,omitempty"`
	Memory        mneme.Memory `json:"memory"`
}

type timings struct {
	Prefill float64 `json:"prefill_tokens_per_second"`
	Decode  float64 `json:"decode_tokens_per_second"`
	Load    float64 `json:"load_seconds"`
}

func newRun(a *app) *cobra.Command {
	c := &runCommand{app: a}
	cmd := &cobra.Command{
		Use:   "run -m FILE (-p TEXT | -f FILE | --tokens IDS)",
		Short: "Continue a text",
		Long: "run prints a prompt and what the model writes after it, as it comes. It ends where the model ends the text, or at\n" +
			"the length that the model was trained for; -n and --stop end it earlier, and -n with --ignore-eos later.",
		Example: `  infer run -m model.gguf -p "Once upon a time" -n 100
  infer run -m model.gguf -f letter.txt --temp 0 --stop "Yours," --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	c.prompt.add(cmd)
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.IntVarP(&c.predict, "predict", "n", -1, "`number` of tokens to write at most; -1: to the end of the text")
		set.StringArrayVar(&c.stop, "stop", nil, "end before this `text` (repeatable)")
		set.BoolVar(&c.ignoreEOS, "ignore-eos", false, "go on past the end of the text")
		set.BoolVar(&c.hide, "no-display-prompt", false, "print only what the model writes")
		set.BoolVarP(&c.verbose, "verbose", "v", false, "print speed and memory on stderr at the end")
	})
	addGroup(cmd, "Session", func(set *pflag.FlagSet) {
		set.StringVar(&c.file, "session", "", "`file` that keeps the text and its cache: a prompt that begins with what it holds is read from there on; written at the end")
	})
	cmd.MarkFlagFilename("session")
	c.memory.add(cmd, "`number` of tokens that prompt and answer may have; 0: no bound")
	c.sampling.add(cmd)
	return cmd
}

func (c *runCommand) run(cmd *cobra.Command) (err error) {
	defer func() { c.memory.finish(&err) }()
	if c.predict < -1 {
		return usagef("-n is %d, want 0 or more, or -1 for no bound", c.predict)
	}
	if slices.Contains(c.stop, "") {
		return usagef("--stop: the text is empty")
	}
	if err := c.model.check(); err != nil {
		return err
	}
	if err := c.prompt.check(cmd); err != nil {
		return err
	}
	options, err := c.sampling.resolve(cmd, c.prompt.unescape)
	if err != nil {
		return err
	}
	if err := c.checkSession(); err != nil {
		return err
	}
	memory, err := c.memory.options()
	if err != nil {
		return err
	}
	text, err := c.prompt.read(cmd.Context(), c.app)
	if err != nil {
		return err
	}
	start := time.Now()
	m, err := c.model.open(c.app)
	if err != nil {
		return err
	}
	defer m.Close()
	g := &generation{runCommand: c, m: m, loading: time.Since(start), options: options, seeded: cmd.Flags().Changed("seed")}
	return g.run(cmd.Context(), text, memory)
}

// checkSession finds out before anything is written that its session could not be saved.
func (c *runCommand) checkSession() error {
	if c.file == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(c.file)); err != nil {
		return fmt.Errorf("--session: %w", err)
	}
	return nil
}

// generation is one run of the model.
type generation struct {
	*runCommand
	m       *mneme.Model
	loading time.Duration
	options sample.Options

	session *mneme.Session
	ids     []int32 // of the prompt
	rest    []int32 // of these, what the session has not read
	before  int     // rows that the session had been given by then
	capped  bool    // by --ctx
	seeded  bool    // a seed was given
	tokens  []int32
	text    strings.Builder
}

func (g *generation) run(ctx context.Context, text string, memory []mneme.SessionOption) (err error) {
	if err := checkBiases(g.m, g.options); err != nil {
		return err
	}
	if g.ids, err = g.prompt.encode(g.app, g.m, g.model.path, text); err != nil {
		return err
	}
	limit, err := g.limit()
	if err != nil {
		return err
	}
	if g.session, err = g.m.NewSession(append(memory, mneme.WithContext(g.announced()))...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.session.Close()) }()
	if err := g.load(); err != nil {
		return err
	}
	if err := g.write(ctx, g.shown(text), limit); err != nil {
		return err
	}
	if g.file != "" {
		if err := g.session.Save(g.file); err != nil {
			return err
		}
	}
	g.warnings()
	if g.verbose {
		g.printStats()
	}
	if !g.json {
		return nil
	}
	result := g.result()
	if g.session.OpensSome() {
		mass, err := g.session.AttentionMass(ctx)
		switch {
		case err == nil:
			result.AttentionMass = &mass
		case !errors.Is(err, mneme.ErrLearned): // beside a learned memory it cannot be told
			return err
		}
	}
	return g.printJSON(result)
}

// load takes the session up where its file left off, if there is one, as far as the prompt says the same.
func (g *generation) load() error {
	g.rest = g.ids
	if g.file == "" {
		return nil
	}
	switch err := g.session.Load(g.file); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	rest, err := g.session.Reuse(g.ids)
	switch {
	case errors.Is(err, mneme.ErrEvicted):
		g.warn("--session: the prompt differs from the text of %s, whose rows were dropped since: it is read from the beginning", g.file)
		rest, err = g.ids, g.session.Truncate(0)
	case errors.Is(err, mneme.ErrLearned):
		g.warn("--session: the prompt differs from the text of %s, which the memory has learned from: it is read from the beginning", g.file)
		rest, err = g.ids, g.session.Truncate(0)
	}
	g.rest, g.before = rest, g.session.Stats().Memory.RowsSeen
	return err
}

// announced is the context that the session is asked for. A model whose context was stretched may treat a long text
// otherwise from its first token on, so that it has to know how long the text will be.
func (g *generation) announced() int {
	n := len(g.ids)
	if c := g.m.Config(); c.Rope.OriginalContext < c.ContextLength {
		n += max(g.predict, 0)
	}
	return max(g.memory.context, n)
}

// checkBiases refuses biases of tokens that there are not.
func checkBiases(m *mneme.Model, options sample.Options) error {
	for id := range options.LogitBias {
		if n := m.Config().Vocabulary; int(id) >= n {
			return usagef("--logit-bias: there is no token %d, the model has %d", id, n)
		}
	}
	return nil
}

// limit returns how many tokens may be written, -1 for no bound.
func (g *generation) limit() (int, error) {
	if g.memory.context == 0 {
		return g.predict, nil
	}
	room := g.memory.context - len(g.ids)
	if room < 0 {
		return 0, fmt.Errorf("the prompt has %d tokens, more than the %d of --ctx", len(g.ids), g.memory.context)
	}
	if g.predict < 0 || g.predict > room {
		g.capped = true
		return room, nil
	}
	return g.predict, nil
}

// shown returns the prompt as it is printed before the answer.
func (g *generation) shown(text string) string {
	if g.hide || g.json {
		return ""
	}
	if g.prompt.given == "tokens" && g.m.Tokenizer() != nil {
		return g.m.Tokenizer().Text(g.ids, tokenizer.DecodeOptions{})
	}
	return text
}

// write has the model write, and prints it as it comes unless JSON is wanted.
func (g *generation) write(ctx context.Context, shown string, limit int) error {
	options := []mneme.Option{mneme.WithSampling(g.options)}
	if limit >= 0 {
		options = append(options, mneme.WithMaxTokens(limit))
	}
	if g.ignoreEOS {
		options = append(options, mneme.WithIgnoreEnd())
	}
	for _, s := range g.stop {
		options = append(options, mneme.WithStop(g.prompt.unescape(s)))
	}
	begun := false
	if !g.seeded {
		options = append(options, mneme.WithSamplingContinued())
	}
	done := g.watchPrefill(g.session, len(g.rest))
	begin := func() { // the prompt waits for the bar to go
		if !begun {
			begun = true
			done()
			g.print(shown)
		}
	}
	for token, err := range g.session.GenerateTokens(ctx, g.rest, options...) {
		if err == nil {
			begin()
			err = g.add(token)
		}
		if err != nil {
			if begun {
				g.print("\n")
			} else {
				done()
			}
			return err
		}
	}
	begin()
	g.print("\n")
	return nil
}

// add takes a token of the answer.
func (g *generation) add(t mneme.Token) error {
	if t.ID >= 0 {
		g.tokens = append(g.tokens, t.ID)
	}
	g.text.WriteString(t.Text)
	if g.m.Tokenizer() == nil {
		g.print(fmt.Sprintf("%d ", t.ID))
	} else {
		g.print(t.Text)
	}
	return g.stdout.Flush()
}

// print prints at once, if anything is to be printed.
func (g *generation) print(text string) {
	if !g.json && text != "" {
		g.stdout.WriteString(text)
		g.stdout.Flush() // an error stays and shows at the next one
	}
}

// warnings tells what the user may not expect of the text.
func (g *generation) warnings() {
	stats := g.session.Stats()
	g.warnBeyondTrained(g.m, stats.BeyondTrained, g.memory.cache)
	switch {
	case g.stopped(stats) != mneme.StopContext:
	case g.capped:
		g.warn("stopped at the %d tokens of --ctx", g.memory.context)
	default:
		g.warn("stopped at the %d tokens that the model was trained for; -n goes on", g.m.Config().ContextLength)
	}
}

// stopped says why the answer ended.
func (g *generation) stopped(stats mneme.Stats) mneme.StopReason {
	if g.capped && stats.Stopped == mneme.StopLength {
		return mneme.StopContext
	}
	return stats.Stopped
}

func (g *generation) timings(stats mneme.Stats) timings {
	steps := stats.Memory.RowsSeen - g.before - stats.PromptTokens // the first token needs none after the prompt
	return timings{
		Prefill: perSecond(stats.PromptTokens, stats.PrefillTime),
		Decode:  perSecond(steps, stats.DecodeTime),
		Load:    g.loading.Seconds(),
	}
}

func (g *generation) result() runResult {
	stats := g.session.Stats()
	return runResult{
		PromptTokens:  append([]int32{}, g.ids...),
		PromptReused:  len(g.ids) - len(g.rest),
		Tokens:        append([]int32{}, g.tokens...),
		Text:          g.text.String(),
		Stop:          g.stopped(stats),
		Seed:          g.options.Seed,
		BeyondTrained: stats.BeyondTrained,
		Timings:       g.timings(stats),
		Memory:        stats.Memory,
	}
}

func (g *generation) printStats() {
	stats := g.session.Stats()
	t := g.timings(stats)
	fmt.Fprintf(g.stderr, "infer: read %d tokens at %.1f tokens/s, wrote %d at %.1f tokens/s (stop: %s); KV cache %s; loaded in %.2f s; kernels %s, %d threads; seed %d\n",
		stats.PromptTokens, t.Prefill, stats.GeneratedTokens, t.Decode, g.stopped(stats), byteSize(stats.Memory.KVBytes),
		t.Load, g.m.Kernels(), g.m.Threads(), g.options.Seed)
}
