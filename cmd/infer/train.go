package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/train"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// checkpointInterval is how long training goes on before it is kept again.
const checkpointInterval = 30 * time.Second

// trainCommand trains a small model.
type trainCommand struct {
	*app
	out        string
	checkpoint string
	log        string
	kind       string
	cpu        string
	seed       uint64
	text       string
	words      int
	length     int
	steps      int
	backboneFlags
}

// training is what is trained, with what texts, and how it is written.
type training struct {
	recipe train.Recipe
	source train.Source
	write  func(m *train.Model, path string, e train.Export) error
}

// trainResult is what train --json prints.
type trainResult struct {
	Recipe          string       `json:"recipe"`
	Seed            uint64       `json:"seed"`
	Parameters      int64        `json:"parameters"`
	Steps           int          `json:"steps"`
	Tokens          int64        `json:"tokens"`
	Seconds         float64      `json:"seconds"` // of steps, without examinations
	TokensPerSecond float64      `json:"tokens_per_second"`
	Stages          []trainStage `json:"stages"`
	Log             string       `json:"log"`
	writtenResult
}

// trainStage is what a stage came to.
type trainStage struct {
	Name    string     `json:"name"`
	Steps   int        `json:"steps"`
	Tokens  int64      `json:"tokens"`
	Seconds float64    `json:"seconds"`
	Loss    float32    `json:"loss"`
	Exam    *examMarks `json:"exam"`        // at the end; null without an examination
	Zeroed  *examMarks `json:"exam_zeroed"` // with zeros for what is read of the memory; null without a memory
	Reached bool       `json:"reached"`
}

// examMarks are how a model read texts that it was not trained with.
type examMarks struct {
	Loss   float64  `json:"loss"`
	Recall *float64 `json:"recall"` // share of answers that were right; null without questions
}

func newExamMarks(m train.Marks) *examMarks {
	if m.Documents == 0 {
		return nil
	}
	e := &examMarks{Loss: m.Loss}
	if m.Asked > 0 {
		recall := m.Recall()
		e.Recall = &recall
	}
	return e
}

func newTrain(a *app) *cobra.Command {
	c := &trainCommand{app: a}
	cmd := &cobra.Command{
		Use:   "train RECIPE --out FILE",
		Short: "Train a small model, or a memory for a model",
		Long: "train makes a small model that reads and answers questions about stories of a small language, which it invents as it\n" +
			"goes, or, with --text, one that goes on with texts like a file's. The recipes are\n" + recipeList() +
			"With -m FILE, recipe " + adapterRecipe + " trains a memory for a model that stays as it is: it is written by itself, and used by\n" +
			"--adapter beside the model. Recipe " + landmarkRecipe + " goes on training all of the model then, with landmarks in its texts.\n" +
			"The loss of each step is written to FILE.csv. What is interrupted is kept in FILE.checkpoint: the same command goes on\n" +
			"from there, and comes to the same model as if it had never stopped.",
		Example: "  infer train base --out base.gguf --seed 1\n" +
			"  infer train base --text book.txt --vocab 2048 --out book.gguf\n" +
			"  infer train adapter -m model.gguf --memory fifo --text book.txt --out memory.gguf\n" +
			"  infer train landmark -m model.gguf --text book.txt --out landmarks.gguf",
		Args: exactly("RECIPE"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return append(recipeNames(), adapterRecipe), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.backboneFlags.check(cmd.Flags(), args[0]); err != nil {
				return err
			}
			for _, flag := range []string{"vocab", "length", "steps"} {
				if c.text == "" && c.path == "" && cmd.Flags().Changed(flag) {
					return usagef("--%s is for training with --text", flag)
				}
			}
			return c.run(cmd.Context(), args[0])
		},
	}
	addGroup(cmd, "Output", func(set *pflag.FlagSet) {
		set.StringVarP(&c.out, "out", "o", "", "`file` to write the model to")
		set.StringVar(&c.kind, "type", "F16", "`type` of the matrices: "+strings.Join(exportable(), ", "))
		set.StringVar(&c.log, "log", "", "`file` for the loss of each step; default: that of --out with .csv behind it")
		set.StringVar(&c.checkpoint, "checkpoint", "", "`file` to keep an unfinished training in; default: that of --out with .checkpoint behind it")
	})
	addGroup(cmd, "Training", func(set *pflag.FlagSet) {
		set.Uint64VarP(&c.seed, "seed", "s", 1, "same `seed`, same model")
		set.StringVar(&c.text, "text", "", "`file` of text to train with, in place of stories; its end is held out for examinations")
		set.IntVar(&c.words, "vocab", 1024, "with --text: `number` of tokens of the byte-level BPE that is learned from it")
		set.IntVar(&c.length, "length", 256, "with --text or -m: `number` of tokens of the pieces")
		set.IntVar(&c.steps, "steps", 3000, "with --text or -m: `number` of steps, of about 2,048 tokens each")
		set.StringVar(&c.cpu, "cpu", "", "`kernels` to compute with, by name (generic: plain Go); default: $MNEME_CPU, else the fastest")
	})
	c.backboneFlags.add(cmd)
	cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(exportable(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func recipeList() string {
	var b strings.Builder
	for _, r := range train.Recipes() {
		fmt.Fprintf(&b, "  %-10s %s\n", r.Name, r.About)
	}
	return b.String()
}

func recipeNames() (names []string) {
	for _, r := range train.Recipes() {
		names = append(names, r.Name)
	}
	return names
}

// exportable lists the types that models can be written in.
func exportable() (names []string) {
	for _, t := range train.ExportTypes() {
		names = append(names, t.String())
	}
	return names
}

func parseExportable(name string) (quant.Type, error) {
	for _, t := range train.ExportTypes() {
		if strings.EqualFold(t.String(), name) {
			return t, nil
		}
	}
	return 0, usagef("--type: a model is not written in %q, want one of %s", name, strings.Join(exportable(), ", "))
}

func (c *trainCommand) run(ctx context.Context, name string) error {
	prepare, err := c.preparation(ctx, name)
	if err != nil {
		return err
	}
	kind, err := parseExportable(c.kind)
	if err != nil {
		return err
	}
	impl, err := kernels.Choose(c.cpu)
	if err != nil {
		return usagef("--cpu: %w", err)
	}
	if c.words < 1 || c.length < 2 || c.steps < 1 {
		return usagef("--vocab %d, --length %d, --steps %d: want at least one token, pieces of two and one step", c.words, c.length, c.steps)
	}
	if c.out == "" {
		return usagef("no file for the model: --out FILE")
	}
	if c.log == "" {
		c.log = c.out + ".csv"
	}
	if c.checkpoint == "" {
		c.checkpoint = c.out + ".checkpoint"
	}
	if err := c.checkFiles(); err != nil {
		return err
	}
	team := kernels.NewTeam(c.threads)
	defer team.Close()
	t, err := prepare()
	if err != nil {
		return err
	}
	model, report, err := c.train(ctx, train.Compute{Impl: impl, Team: team}, t.recipe, t.source)
	if err != nil {
		return err
	}
	if err := t.write(model, c.out, train.Export{Name: "mneme " + t.recipe.Name, Type: kind, Context: t.recipe.Context(), Source: t.source}); err != nil {
		return err
	}
	if err := os.Remove(c.checkpoint); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.tell(model, report)
}

// checkFiles finds out what would otherwise show after long work: that a file cannot be there, or is to be two things.
func (c *trainCommand) checkFiles() error {
	files := []struct{ flag, path string }{{"--out", c.out}, {"--checkpoint", c.checkpoint}, {"--log", c.log}, {"--text", c.text}, {"-m", c.path}}
	for i, f := range files {
		if f.path == "" {
			continue
		}
		for _, other := range files[:i] {
			if samePath(f.path, other.path) {
				return usagef("%s and %s name the same file, %s", other.flag, f.flag, f.path)
			}
		}
		if _, err := os.Stat(filepath.Dir(f.path)); err != nil {
			return err
		}
		if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s: %s is there, and no regular file", f.flag, f.path)
		}
	}
	return nil
}

// samePath reports whether two paths are those of one file, there or not.
func samePath(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// preparation returns what finds out what a recipe's training is.
func (c *trainCommand) preparation(ctx context.Context, name string) (func() (training, error), error) {
	switch {
	case name == adapterRecipe:
		return c.adapter, nil
	case c.path != "":
		return c.landmarks, nil
	}
	_, err := lookupRecipe(name)
	return func() (training, error) { return c.ownModel(ctx, name) }, err
}

// ownModel is the training of a model of its own.
func (c *trainCommand) ownModel(ctx context.Context, name string) (t training, err error) {
	t.source, t.write = train.Stories{}, (*train.Model).Write
	if t.recipe, err = lookupRecipe(name); err != nil || c.text == "" {
		return t, err
	}
	data, err := os.ReadFile(c.text)
	if err != nil {
		return t, err
	}
	if t.source, err = train.NewText(ctx, string(data), c.words); err != nil {
		return t, fmt.Errorf("%s: %w", c.text, err)
	}
	t.recipe, err = t.recipe.OnText(c.length, c.steps)
	return t, err
}

func (c *trainCommand) train(ctx context.Context, compute train.Compute, recipe train.Recipe, source train.Source) (*train.Model, train.Report, error) {
	bar := c.newProgress("training", false)
	defer bar.finish()
	return train.Run(ctx, compute, recipe, source, train.Options{
		Seed: c.seed, Checkpoint: c.checkpoint, Interval: checkpointInterval, Log: c.log,
		Progress: func(p train.Progress) {
			text := fmt.Sprintf("%s, %.0f tokens/s", p.Stage, p.TokensPerSecond)
			if p.Marks.Asked > 0 {
				text += fmt.Sprintf(", recall %.1f%%", 100*p.Marks.Recall())
			}
			if p.Zeroed.Asked > 0 {
				text += fmt.Sprintf(", %.1f%% without memory", 100*p.Zeroed.Recall())
			}
			bar.describe(text)
			bar.set(int64(p.Step), int64(p.Steps))
		},
	})
}

// tell prints what was made, and warns of stages that did not come to what they are for.
func (c *trainCommand) tell(m *train.Model, r train.Report) error {
	f, err := weights.Open(c.out)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, s := range r.Stages {
		if !s.Reached {
			c.warn("stage %s ended after %d steps with %.1f%% of the answers right, which is less than it is for", s.Name, s.Steps, 100*s.Marks.Recall())
		}
	}
	if c.json {
		result := trainResult{
			Recipe: r.Recipe, Seed: r.Seed, Parameters: m.Parameters(), Steps: r.Steps, Tokens: r.Tokens, Seconds: r.Seconds,
			TokensPerSecond: r.TokensPerSecond(), Log: c.log, writtenResult: writtenResult{f.Size(), typeCounts(f.TypeCounts())},
		}
		for _, s := range r.Stages {
			result.Stages = append(result.Stages, trainStage{
				Name: s.Name, Steps: s.Steps, Tokens: s.Tokens, Seconds: s.Seconds, Loss: s.Loss, Reached: s.Reached,
				Exam: newExamMarks(s.Marks), Zeroed: newExamMarks(s.Zeroed),
			})
		}
		return c.printJSON(result)
	}
	for _, s := range r.Stages {
		c.printf("%-28s %6d steps %10d tokens %7.0f s   loss %.3f", s.Name, s.Steps, s.Tokens, s.Seconds, s.Loss)
		if s.Marks.Documents > 0 {
			c.printf(", of other texts %.3f", s.Marks.Loss)
		}
		if s.Marks.Asked > 0 {
			c.printf("   recall %.1f%%", 100*s.Marks.Recall())
		}
		if s.Zeroed.Documents > 0 {
			c.printf("; without memory loss %.3f", s.Zeroed.Loss)
		}
		if s.Zeroed.Asked > 0 {
			c.printf(", recall %.1f%%", 100*s.Zeroed.Recall())
		}
		c.printf("\n")
	}
	c.printf("%s: %s, %d parameters, %.0f tokens/s\n", fromFile(c.out), byteSize(f.Size()), m.Parameters(), r.TokensPerSecond())
	return nil
}
