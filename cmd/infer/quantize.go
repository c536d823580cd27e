package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// quantizeCommand writes a model in another number format.
type quantizeCommand struct {
	*app
	pure bool
}

// writtenResult is what quantize --json, convert --json and synth --json print.
type writtenResult struct {
	Bytes int64                `json:"bytes"`
	Types map[string]typeCount `json:"types"`
}

func newQuantize(a *app) *cobra.Command {
	c := &quantizeCommand{app: a}
	cmd := &cobra.Command{
		Use:   "quantize IN OUT TYPE",
		Short: "Write a model in another number format",
		Long: "quantize writes the model IN to the file OUT with its matrices in TYPE, one of\n" + strings.Join(encodable(), ", ") + ".\n" +
			"Vectors, norms and routers stay as they are; the output matrix is Q6_K unless TYPE is Q8_0 or a float type.",
		Example:           `  infer quantize model-f16.gguf model-q4.gguf Q4_K`,
		Args:              exactly("IN", "OUT", "TYPE"),
		ValidArgsFunction: c.complete,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0], args[1], args[2]) },
	}
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.BoolVar(&c.pure, "pure", false, "give the output matrix TYPE too")
	})
	return cmd
}

func (c *quantizeCommand) complete(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 2 {
		return encodable(), cobra.ShellCompDirectiveNoFileComp
	}
	return ggufFiles(2)(cmd, args, word)
}

func (c *quantizeCommand) run(ctx context.Context, in, out, typeName string) error {
	t, err := parseEncodable(typeName)
	if err != nil {
		return err
	}
	f, err := weights.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	bar := c.newProgress("writing", true)
	defer bar.finish()
	q, err := weights.Quantize(ctx, out, f, t, weights.QuantizeOptions{Pure: c.pure, Threads: c.threads, Progress: bar.set})
	if err != nil {
		return err
	}
	bar.finish()
	if c.json {
		return c.printJSON(writtenResult{q.Bytes, typeCounts(q.Types)})
	}
	c.printf("%s: %s, before %s\n", fromFile(out), byteSize(q.Bytes), byteSize(f.Size()))
	c.printTypes(q.Types)
	return nil
}

// encodable lists the types that models can be written in.
func encodable() []string {
	var names []string
	for _, t := range quant.Types() {
		if t.CanEncode() {
			names = append(names, t.String())
		}
	}
	return names
}

func parseEncodable(name string) (quant.Type, error) {
	t, err := quant.Parse(name)
	if err != nil || !t.CanEncode() {
		return 0, usagef("type %q cannot be written, want one of %s", name, strings.Join(encodable(), ", "))
	}
	return t, nil
}

// inFile names the file that an error is about.
func inFile(path string, err error) error { return fmt.Errorf("%s: %w", path, err) }
