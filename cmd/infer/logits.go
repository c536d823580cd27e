package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/sample"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// logitsCommand shows what a model thinks of each token of a text.
type logitsCommand struct {
	*app
	model  modelFlags
	prompt promptFlags
	memory memoryFlags
	top    int
}

// logitsResult is what logits --json prints.
type logitsResult struct {
	PromptTokens []int32      `json:"prompt_tokens"`
	Top          [][]logit    `json:"top"`
	MeanNLL      *float64     `json:"mean_nll"` // null for a single token
	NLL          []float64    `json:"nll"`      // of the second token and those after it
	Memory       mneme.Memory `json:"memory"`
}

func newLogits(a *app) *cobra.Command {
	c := &logitsCommand{app: a}
	cmd := &cobra.Command{
		Use:   "logits -m FILE (-p TEXT | -f FILE | --tokens IDS)",
		Short: "Show the best continuations after each token of a text",
		Long: "logits prints, after each token of a text, the tokens with the greatest logits, the greatest first, and the mean\n" +
			"negative log-likelihood, in nats, of all tokens but the first.",
		Example: `  infer logits -m model.gguf -p "Once upon a" --top 5
  infer logits -m model.gguf --tokens 1,403,407 --top 999999 --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	c.prompt.add(cmd)
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.IntVar(&c.top, "top", 10, "`number` of tokens to show; as many as the vocabulary has, or more: all")
	})
	c.memory.add(cmd, "`number` of tokens that the text may have; 0: no bound")
	return cmd
}

func (c *logitsCommand) run(cmd *cobra.Command) (err error) {
	defer func() { c.memory.finish(&err) }()
	if c.top < 1 {
		return usagef("--top is %d, want 1 or more", c.top)
	}
	if err := c.model.check(); err != nil {
		return err
	}
	if err := c.prompt.check(cmd); err != nil {
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
	m, err := c.model.open(c.app)
	if err != nil {
		return err
	}
	defer m.Close()
	ids, err := c.prompt.encode(c.app, m, c.model.path, text)
	if err != nil {
		return err
	}
	r, err := c.evaluate(cmd.Context(), m, ids, memory)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(r)
	}
	c.print(m, r)
	return nil
}

// evaluate has the model read the text.
func (c *logitsCommand) evaluate(ctx context.Context, m *mneme.Model, ids []int32, memory []mneme.SessionOption) (r *logitsResult, err error) {
	switch {
	case len(ids) == 0:
		return nil, fmt.Errorf("the prompt is empty and the model adds no token of its own")
	case c.memory.context > 0 && len(ids) > c.memory.context:
		return nil, fmt.Errorf("the prompt has %d tokens, more than the %d of --ctx", len(ids), c.memory.context)
	}
	session, err := m.NewSession(append(memory, mneme.WithContext(max(c.memory.context, len(ids))))...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	bar := c.newProgress("reading", false)
	defer bar.finish()
	r = &logitsResult{PromptTokens: ids, NLL: []float64{}}
	err = session.Evaluate(ctx, ids, func(i int, logits []float32) error {
		bar.set(int64(i+1), int64(len(ids)))
		return c.take(r, i, logits)
	})
	if err != nil {
		return nil, err
	}
	if n := len(r.NLL); n > 0 {
		var sum float64
		for _, v := range r.NLL {
			sum += v
		}
		mean := sum / float64(n)
		r.MeanNLL = &mean
	}
	r.Memory = session.Stats().Memory
	c.warnBeyondTrained(m, session.Stats().BeyondTrained, c.memory.cache)
	return r, nil
}

// take keeps the best of the logits after token i.
func (c *logitsCommand) take(r *logitsResult, i int, logits []float32) error {
	best, err := sample.Top(logits, c.top)
	if err != nil {
		return fmt.Errorf("after token %d: %w", i, err)
	}
	row := make([]logit, len(best))
	for j, b := range best {
		row[j] = logit{b.ID, float32(b.Logit)}
	}
	r.Top = append(r.Top, row)
	if i+1 == len(r.PromptTokens) {
		return nil
	}
	logProb, err := sample.LogProb(logits, r.PromptTokens[i+1])
	r.NLL = append(r.NLL, -logProb)
	return err
}

func (c *logitsCommand) print(m *mneme.Model, r *logitsResult) {
	for i, id := range r.PromptTokens {
		c.printf("%d: %s", i, c.token(m, id))
		if i > 0 {
			c.printf("  nll %.4f", r.NLL[i-1])
		}
		c.printf("\n")
		for _, l := range r.Top[i] {
			c.printf("    %10.4f  %s\n", l.value, c.token(m, l.id))
		}
	}
	if r.MeanNLL != nil {
		c.printf("mean nll %.6f over %d tokens\n", *r.MeanNLL, len(r.NLL))
	}
}

// token prints a token's id, with its text if that is known.
func (c *logitsCommand) token(m *mneme.Model, id int32) string {
	t := m.Tokenizer()
	if t == nil || int(id) >= t.Size() {
		return fmt.Sprint(id)
	}
	return fmt.Sprintf("%6d %q", id, piece(t.AppendPiece(nil, id, true)))
}
