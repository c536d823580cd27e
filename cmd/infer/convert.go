package main

import (
	"context"
	"strings"

	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// convertCommand writes a model of another program as a GGUF file.
type convertCommand struct {
	*app
	kind string
}

func newConvert(a *app) *cobra.Command {
	c := &convertCommand{app: a}
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Write a model of another program as a GGUF file",
		Long: "convert writes the model IN to the GGUF file OUT. IN is a folder as transformers leave it, with config.json,\n" +
			"safetensors and tokenizer.json, of the model_type llama, qwen2 or qwen3; a checkpoint of llama2.c, whose vocabulary\n" +
			"is tokenizer.bin beside it; or the safetensors file of a prototype, whose words are vocab.json beside\n" +
			"it. Block formats are what quantize makes of the result.",
		Example: `  infer convert Qwen3-0.6B qwen3-0.6b.gguf --type bf16`,
		Args:    exactly("IN", "OUT"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0], args[1]) },
	}
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.StringVar(&c.kind, "type", "F16", "`type` of the matrices: "+strings.Join(convertible(), ", "))
	})
	cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(convertible(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// convertible lists the types that models can be converted to.
func convertible() []string {
	var names []string
	for _, t := range convert.Types() {
		names = append(names, t.String())
	}
	return names
}

func parseConvertible(name string) (quant.Type, error) {
	for _, t := range convert.Types() {
		if strings.EqualFold(t.String(), name) {
			return t, nil
		}
	}
	return 0, usagef("--type: a model cannot be converted to %q, want one of %s", name, strings.Join(convertible(), ", "))
}

func (c *convertCommand) run(ctx context.Context, in, out string) error {
	t, err := parseConvertible(c.kind)
	if err != nil {
		return err
	}
	bar := c.newProgress("writing", true)
	defer bar.finish()
	made, err := convert.Convert(ctx, out, in, convert.Options{Type: t, Threads: c.threads, Progress: bar.set})
	if err != nil {
		return err
	}
	bar.finish()
	if c.json {
		return c.printJSON(writtenResult{made.Bytes, typeCounts(made.Types)})
	}
	c.printf("%s: %s\n", fromFile(out), byteSize(made.Bytes))
	c.printTypes(made.Types)
	return nil
}
