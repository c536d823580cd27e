package main

import (
	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/bench"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// perplexityCommand measures how well a model predicts a text.
type perplexityCommand struct {
	*app
	model  modelFlags
	memory memoryFlags
	file   string
	chunks int
	stream bool
	tokens int
	part   int
}

// perplexityResult is what perplexity --json prints.
type perplexityResult struct {
	Perplexity    float64          `json:"perplexity"`
	StdErr        float64          `json:"stderr"`
	MeanNLL       float64          `json:"mean_nll"`
	Tokens        int              `json:"tokens"`
	Scored        int              `json:"scored_tokens"`
	Chunks        int              `json:"chunks"`
	Context       int              `json:"ctx"`
	Speed         float64          `json:"tokens_per_second"`
	BeyondTrained int              `json:"beyond_trained"`
	Parts         []perplexityPart `json:"parts,omitempty"`
	Mass          float64          `json:"attention_mass,omitempty"` // share of the attention that the rows hold which queries open
	Memory        mneme.Memory     `json:"memory"`
}

type perplexityPart struct {
	First      int     `json:"first"` // number of the first of its tokens in the text
	Scored     int     `json:"scored_tokens"`
	Perplexity float64 `json:"perplexity"`
	Speed      float64 `json:"tokens_per_second"`
	Mass       float64 `json:"attention_mass,omitempty"` // see perplexityResult
}

func newPerplexity(a *app) *cobra.Command {
	c := &perplexityCommand{app: a}
	cmd := &cobra.Command{
		Use:   "perplexity -m FILE -f FILE",
		Short: "Measure how well a model predicts a text",
		Long: "perplexity cuts a text into windows of --ctx tokens, puts BOS in place of the first of each if the model asks for\n" +
			"one, scores the second half of every window, and prints the exponential of the mean negative log-likelihood:\n" +
			"llama.cpp's method and its figures. With --stream it reads the text as one, and scores all of it but the first\n" +
			"token.",
		Example: `  infer perplexity -m model.gguf -f wiki.test.raw --ctx 512 --chunks 50
  infer perplexity -m model.gguf -f book.txt --stream --tokens 16384 --kv-type q8_0 --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	addGroup(cmd, "Text", func(set *pflag.FlagSet) {
		set.StringVarP(&c.file, "file", "f", "", "`file` with the text (-: standard input)")
		set.IntVar(&c.chunks, "chunks", 0, "`number` of windows at most; 0: all")
		set.BoolVar(&c.stream, "stream", false, "read the text as one, without windows")
		set.IntVar(&c.part, "part", 10000, "with --stream, print the perplexity of each `number` of tokens, too; 0: of all alone")
		set.IntVar(&c.tokens, "tokens", 0, "take the first `number` of tokens of the text; 0: all")
	})
	c.memory.add(cmd, "`number` of tokens in a window; 0: 512, or what the model was trained for if that is less")
	return cmd
}

func (c *perplexityCommand) run(cmd *cobra.Command) (err error) {
	defer func() { c.memory.finish(&err) }()
	options, err := c.options(cmd)
	if err != nil {
		return err
	}
	text, err := c.readText(cmd.Context(), c.file)
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
	bar := c.newProgress("reading", false)
	options.Progress = func(done, total int) { bar.set(int64(done), int64(total)) }
	r, err := bench.Perplexity(cmd.Context(), m, text, options)
	bar.finish()
	if err != nil {
		return err
	}
	if r.Tokens < c.tokens && c.stream {
		c.warn("the text has only %d of the %d tokens asked for", r.Tokens, c.tokens)
	}
	c.warnBeyondTrained(m, r.BeyondTrained, c.memory.cache)
	return c.print(r)
}

// options turns the flags into those of the measurement.
func (c *perplexityCommand) options(cmd *cobra.Command) (bench.PerplexityOptions, error) {
	o := bench.PerplexityOptions{Window: c.memory.context, Chunks: max(c.chunks, 0), Stream: c.stream, Tokens: c.tokens, Part: c.part}
	if err := c.model.check(); err != nil {
		return o, err
	}
	changed := cmd.Flags().Changed
	switch {
	case !changed("file"):
		return o, usagef("no text given: -f FILE")
	case c.chunks < -1:
		return o, usagef("--chunks is %d, want 0 (all) or more", c.chunks)
	case c.tokens < 0:
		return o, usagef("--tokens is %d, want 0 (all) or more", c.tokens)
	case c.part < 0:
		return o, usagef("--part is %d, want 0 (none) or more", c.part)
	case c.memory.context > 0 && c.memory.context < 3 && !c.stream:
		return o, usagef("--ctx is %d, want 3 or more: there is nothing to score in smaller windows", c.memory.context)
	}
	var err error
	if o.Session, err = c.memory.options(); err != nil {
		return o, err
	}
	for _, name := range []string{"ctx", "chunks"} {
		if c.stream && changed(name) {
			c.warn("--%s has no meaning with --stream", name)
		}
	}
	if !c.stream && changed("part") {
		c.warn("--part has no meaning without --stream")
	}
	return o, nil
}

func (c *perplexityCommand) print(r bench.PerplexityResult) error {
	if c.json {
		result := perplexityResult{
			Perplexity: r.Perplexity, StdErr: r.StdErr, MeanNLL: r.MeanNLL, Tokens: r.Tokens, Scored: r.Scored,
			Chunks: r.Windows, Context: r.Window, Speed: r.TokensPerSecond(), BeyondTrained: r.BeyondTrained, Mass: r.AttentionMass, Memory: r.Memory,
		}
		for _, p := range r.Parts {
			result.Parts = append(result.Parts, perplexityPart{p.First, p.Scored, p.Perplexity, p.TokensPerSecond(), p.AttentionMass})
		}
		return c.printJSON(result)
	}
	if len(r.Parts) > 1 {
		for _, p := range r.Parts {
			c.printf("tokens %d to %d: perplexity %.4f\n", p.First, p.First+p.Scored-1, p.Perplexity)
		}
	}
	c.printf("perplexity %.4f ± %.4f: %d tokens scored in %d windows of %d, %.1f tokens/s, KV cache %s\n",
		r.Perplexity, r.StdErr, r.Scored, r.Windows, r.Window, r.TokensPerSecond(), byteSize(r.Memory.KVBytesPeak))
	if r.OpensSome && r.AttentionMass > 0 {
		c.printf("attention mass %.1f%%: the share of the attention that the rows hold which queries open\n", 100*r.AttentionMass)
	}
	return nil
}
