package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/atomicfile"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/kvcache/episodic"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// profileSuffix is what the name of a model's profile adds to the model's.
const profileSuffix = ".sensitivity.json"

// profilePath is where a model's profile is unless said otherwise.
func profilePath(model string) string { return model + profileSuffix }

// readProfile reads the profile of a model.
func readProfile(path, model string) (*episodic.Profile, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s, which infer profile -m %s -f TEXT makes", path, model)
	}
	if err != nil {
		return nil, err
	}
	p, err := episodic.UnmarshalProfile(data)
	if err != nil {
		return nil, inFile(path, err)
	}
	return p, nil
}

// allocation is how a budget is shared out among layers: as in the paper, or as in the authors' code. The first layer's keys
// are the same whatever was read before, so that it would get nothing without a floor; and the sum is the budget's.
func allocation(name string) episodic.Allocation {
	const paperAlpha, codeAlpha = 2, 1.1
	rule := episodic.PaperAllocation(paperAlpha)
	if name == "code" {
		rule = episodic.ReleasedAllocation(codeAlpha)
	}
	rule.Floor, rule.Exact = true, true
	return rule
}

// profileCommand measures how much each layer of a model suffers when a text is read in blocks.
type profileCommand struct {
	*app
	model      modelFlags
	file       string
	tokens     int
	mask       episodic.BlockMask
	similarity choice
	out        string
	budget     int
}

func newProfile(a *app) *cobra.Command {
	c := &profileCommand{app: a}
	cmd := &cobra.Command{
		Use:   "profile -m FILE -f FILE",
		Short: "Measure how much each layer needs the whole of a text",
		Long: "profile has the model read a text twice, once whole and once in blocks that are forgotten but for the first tokens and\n" +
			"the end of the block before, and compares the keys of each layer (EpiCache, arXiv 2509.17396, layer sensitivity). It\n" +
			"writes what it finds, σ, to a file beside the model, from which infer ask --allocation shares a budget out among the\n" +
			"layers, and prints what each would get. One text is enough.",
		Example: `  infer profile -m model.gguf -f book.txt
  infer profile -m model.gguf -f book.txt --tokens 8192 --window 2048 --similarity released`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	c.similarity = choice{value: "token", offered: []string{"token", "released"}}
	addGroup(cmd, "Text", func(set *pflag.FlagSet) {
		set.StringVarP(&c.file, "file", "f", "", "`file` with the text (-: standard input)")
		set.IntVar(&c.tokens, "tokens", 0, "take the first `number` of tokens; 0: 16384, or what the model was trained for if that is less")
	})
	addGroup(cmd, "Blocks", func(set *pflag.FlagSet) {
		set.IntVar(&c.mask.Window, "window", 0, "`number` of tokens of a block; 0: a quarter of those that are read, 4096 at most")
		set.IntVar(&c.mask.Sinks, "sinks", -1, "`number` of first tokens that are never forgotten; -1: a 32nd of a block's, 128 at most")
		set.Float64Var(&c.mask.Overlap, "overlap", episodic.ProfileMask.Overlap, "`part` of the block before that is not forgotten")
		set.Var(&c.similarity, "similarity", "`what` is compared: the keys of each token (the paper), or released: of 100 tokens as one vector (its authors' code)")
	})
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.StringVar(&c.out, "out", "", "`file` to write; default: the model's name with "+profileSuffix)
		set.IntVar(&c.budget, "kv-budget", mneme.DefaultEpisodeBudget, "print how layers would share this `number` of rows per KV head, their mean")
	})
	cmd.RegisterFlagCompletionFunc("similarity", cobra.FixedCompletions(c.similarity.offered, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *profileCommand) check(cmd *cobra.Command) error {
	if err := c.model.check(); err != nil {
		return err
	}
	switch {
	case !cmd.Flags().Changed("file"):
		return usagef("no text given: -f FILE")
	case c.tokens < 0:
		return usagef("--tokens is %d, want 0 (by the model) or more", c.tokens)
	case c.mask.Window < 0:
		return usagef("--window is %d, want 0 (by the text) or more", c.mask.Window)
	case c.mask.Sinks < -1:
		return usagef("--sinks is %d, want -1 (by the block) or more", c.mask.Sinks)
	case !(c.mask.Overlap >= 0 && c.mask.Overlap <= 1):
		return usagef("--overlap is %g, want 0 to 1", c.mask.Overlap)
	case c.budget < 1:
		return usagef("--kv-budget is %d, want 1 or more", c.budget)
	}
	if c.out == "" {
		c.out = profilePath(c.model.path)
	}
	if sameFile(c.out, c.model.path) {
		return usagef("--out %s: it is the model itself", c.out)
	}
	return nil
}

// sameFile reports whether two names are of one file that there is.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

func (c *profileCommand) run(cmd *cobra.Command) error {
	if err := c.check(cmd); err != nil {
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
	f, err := atomicfile.Create(c.out) // before the work
	if err != nil {
		return err
	}
	defer f.Abort() // does nothing after Commit
	profile, err := c.measure(cmd, m, text)
	if err != nil {
		return err
	}
	data, err := profile.Marshal()
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	c.warnBeyondTrained(m, max(0, profile.Tokens-m.Config().ContextLength), kvcache.Full)
	if c.json {
		c.printf("%s", data)
		return nil
	}
	return c.print(profile)
}

// measure has the model read.
func (c *profileCommand) measure(cmd *cobra.Command, m *mneme.Model, text string) (*episodic.Profile, error) {
	ids := m.Tokenizer().Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
	if len(ids) < c.tokens {
		c.warn("the text has only %d of the %d tokens asked for", len(ids), c.tokens)
	}
	ids = ids[:c.length(len(ids), m.Config().ContextLength)]
	mask := c.mask
	if mask.Window == 0 {
		mask.Window = max(1, min(len(ids)/4, episodic.ProfileMask.Window))
	}
	if mask.Sinks < 0 {
		mask.Sinks = min(mask.Window/32, episodic.ProfileMask.Sinks)
	}
	window := episodic.PerToken
	if c.similarity.value == "released" {
		window = episodic.ReleasedWindow
	}
	bar := c.newProgress("reading", false)
	defer bar.finish()
	return m.Sensitivity(cmd.Context(), ids, mask, window, func(done, total int) { bar.set(int64(done), int64(total)) })
}

// length is how many of a text's tokens are read.
func (c *profileCommand) length(n, trained int) int {
	const most = 16384 // of the paper's profiles
	if c.tokens > 0 {
		return min(n, c.tokens)
	}
	return min(n, trained, most)
}

func (c *profileCommand) print(p *episodic.Profile) error {
	c.printf("σ of %d layers: %d tokens in blocks of %d, with the first %d and %g of the block before; %s\n", len(p.Sigma), p.Tokens, p.Mask.Window, p.Mask.Sinks, p.Mask.Overlap, c.out)
	c.printf("%-6s %8s %12s %12s\n", "layer", "σ", "paper, rows", "code, rows")
	var shares [2][]int
	for i, name := range []string{"paper", "code"} {
		var err error
		if shares[i], err = episodic.Allocate(p.Sigma, c.budget, allocation(name)); err != nil {
			return err
		}
	}
	for l, sigma := range p.Sigma {
		c.printf("%-6d %8.4f %12d %12d\n", l, sigma, shares[0][l], shares[1][l])
	}
	return nil
}
