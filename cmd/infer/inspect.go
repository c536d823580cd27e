package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mneme-lm/mneme/weights"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// inspectCommand shows what is in a file.
type inspectCommand struct {
	*app
	model string
	full  bool
}

// inspectResult is what inspect --json prints.
type inspectResult struct {
	Files      []string             `json:"files"`
	Bytes      int64                `json:"bytes"`
	Version    int                  `json:"version"`
	Parameters int64                `json:"parameters"`
	Types      map[string]typeCount `json:"types"`
	Memory     []memoryInfo         `json:"memory"`
	Metadata   *weights.Metadata    `json:"metadata"`
	Tensors    []tensorInfo         `json:"tensors"`
}

type tensorInfo struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"` // as in the file: the fastest dimension first
	Bytes int    `json:"bytes"`
}

func newInspect(a *app) *cobra.Command {
	c := &inspectCommand{app: a}
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what is in a file",
		Long: "inspect prints the metadata and the tensors of any GGUF file, whether or not its model can be run. Shapes have the\n" +
			"fastest dimension first, as in the file. JSON has all values; for people, long ones are shortened. Of a memory that a\n" +
			"model was trained with, or an adapter is, it tells the kind, the layers and the sizes.",
		Example: `  infer inspect model.gguf
  infer inspect model.gguf --json | jq '.metadata["general.architecture"]'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && c.model != "" {
				return nil
			}
			return exactly("FILE")(nil, args)
		},
		ValidArgsFunction: ggufFiles(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.run(cmd.Context(), c.model)
			}
			if c.model != "" {
				return usagef("%q and -m %q: one file is enough", args[0], c.model)
			}
			return c.run(cmd.Context(), args[0])
		},
	}
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.BoolVar(&c.full, "full", false, "print long values whole")
		addModelPath(set, &c.model)
		set.Lookup("model").Usage = "the `file`, given as to other commands"
	})
	completeModelPath(cmd)
	return cmd
}

func (c *inspectCommand) run(ctx context.Context, path string) error {
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := inspectResult{
		Files: f.Paths(), Bytes: f.Size(), Version: f.Version(), Types: typeCounts(f.TypeCounts()), Memory: memoryOf(f),
		Metadata: f.Metadata(), Tensors: []tensorInfo{},
	}
	for _, t := range f.Tensors() {
		r.Parameters += int64(t.Elements())
		r.Tensors = append(r.Tensors, tensorInfo{t.Name, t.Type.String(), append([]int{}, t.Shape...), len(t.Data)})
	}
	if c.json {
		return c.printJSON(r)
	}
	return c.print(ctx, f, &r)
}

func (c *inspectCommand) print(ctx context.Context, f *weights.File, r *inspectResult) error {
	for _, path := range r.Files {
		c.printf("%s\n", fromFile(path))
	}
	c.printf("GGUF version %d, %s, %d parameters\n\nMetadata (%d keys):\n", r.Version, byteSize(r.Bytes), r.Parameters, r.Metadata.Len())
	for key, value := range r.Metadata.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := value.String()
		if c.full {
			json, err := value.MarshalJSON()
			if err != nil {
				return fmt.Errorf("metadata key %q: %w", key, err)
			}
			text = string(json)
		}
		c.printf("  %s: %s = %s\n", fromFile(key), typeName(value), printable(c.short(text)))
	}
	c.printf("\nTensors (%d):\n", len(r.Tensors))
	for _, t := range r.Tensors {
		if err := ctx.Err(); err != nil {
			return err
		}
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(t.Shape), " ", " × "), "[]")
		c.printf("  %-32s %-7s %-20s %10s\n", fromFile(t.Name), t.Type, shape, byteSize(int64(t.Bytes)))
	}
	c.printMemory(r.Memory)
	c.printf("\nTypes:\n")
	c.printTypes(f.TypeCounts())
	return nil
}

// short is what people get to see of a long text.
func (c *inspectCommand) short(text string) string {
	if runes := []rune(text); len(runes) > 100 && !c.full {
		return string(runes[:100]) + "…"
	}
	return text
}

// typeName names a value's type, of an array with that of its elements.
func typeName(v weights.Value) string {
	if elem, ok := v.Elem(); ok {
		return fmt.Sprintf("%s[%d]", elem, v.Len())
	}
	return v.Type().String()
}

// ggufFiles has the shell offer GGUF files for the first n arguments.
func ggufFiles(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) < n {
			return []string{"gguf"}, cobra.ShellCompDirectiveFilterFileExt
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}
