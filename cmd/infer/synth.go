package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/synth"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// synthCommand writes a random model.
type synthCommand struct {
	*app
	kind string
	seed uint64
}

// synthResult is what synth --json prints.
type synthResult struct {
	Shape      string `json:"shape"`
	Seed       uint64 `json:"seed"`
	Parameters int64  `json:"parameters"`
	writtenResult
}

func newSynth(a *app) *cobra.Command {
	c := &synthCommand{app: a}
	cmd := &cobra.Command{
		Use:   "synth SHAPE OUT",
		Short: "Write a random model in the shape of a real one",
		Long: "synth writes a model of random numbers, for benchmarks and tests: it runs at the speed of the real one and says\n" +
			"nothing sensible. The shapes are\n" + shapeList() +
			"and the types " + strings.Join(encodable(), ", ") + ".",
		Example:           `  infer synth llama-160m random.gguf --type Q8_0 --seed 1`,
		Args:              exactly("SHAPE", "OUT"),
		ValidArgsFunction: completeShape,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0], args[1]) },
	}
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.StringVar(&c.kind, "type", "F16", "`type` of the matrices")
		set.Uint64VarP(&c.seed, "seed", "s", 0, "same `seed`, same file")
	})
	cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(encodable(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func shapeList() string {
	var b strings.Builder
	for _, s := range synth.Shapes() {
		fmt.Fprintf(&b, "  %-14s %s, %d layers, %d wide, %.1f million parameters\n", s.Name, s.Arch, s.Layers, s.Embedding, float64(s.Parameters())/1e6)
	}
	return b.String()
}

func completeShape(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return ggufFiles(2)(nil, args, "")
	}
	var names []string
	for _, s := range synth.Shapes() {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (c *synthCommand) run(ctx context.Context, name, out string) error {
	shape, err := synth.Lookup(name)
	if err != nil {
		return usageError{err}
	}
	t, err := parseEncodable(c.kind)
	if err != nil {
		return fmt.Errorf("--type: %w", err)
	}
	bar := c.newProgress("writing", true)
	defer bar.finish()
	if err := synth.Write(ctx, out, shape, t, c.seed, bar.set); err != nil {
		return err
	}
	bar.finish()
	f, err := weights.Open(out)
	if err != nil {
		return err
	}
	defer f.Close()
	if c.json {
		return c.printJSON(synthResult{name, c.seed, shape.Parameters(), writtenResult{f.Size(), typeCounts(f.TypeCounts())}})
	}
	c.printf("%s: %s, %d parameters\n", fromFile(out), byteSize(f.Size()), shape.Parameters())
	c.printTypes(f.TypeCounts())
	return nil
}
