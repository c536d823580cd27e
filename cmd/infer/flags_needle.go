package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/bench"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// haystackFlags say which texts are read.
type haystackFlags struct {
	documents string
	haystack  string
	text      bench.TextOptions // the grid is that of stories, too
}

// haystacks are texts that know what they depend on.
type haystacks interface {
	bench.Haystacks
	Settings() []bench.Setting
}

func (f *haystackFlags) add(cmd *cobra.Command) {
	addGroup(cmd, "Texts", func(set *pflag.FlagSet) {
		set.IntSliceVar(&f.text.Lengths, "lengths", []int{256, 1024, 4096}, "`numbers` of tokens that texts have, with question and answer")
		set.Float64SliceVar(&f.text.Depths, "depths", []float64{.05, .5, .95}, "`shares` of the text that come before what is asked for, 0 to 1")
		set.IntVar(&f.text.Trials, "trials", 20, "`number` of texts of each length and depth")
		set.Uint64Var(&f.text.Seed, "seed", 1, "same `seed`, same texts")
		set.IntVar(&f.text.Facts, "facts", bench.DefaultFacts, "`number` of facts in a story, about half of them of the kind that is asked for, or of what --needle keys, values and tracking hide")
		set.StringVar(&f.haystack, "haystack", "", "`file` of any text (-: standard input) to hide needles in, in place of stories")
		set.StringSliceVar(&f.text.Kinds, "needle", []string{"number"}, "with --haystack: `kinds` of needles, which take turns: "+strings.Join(needleKindNames(), ", "))
		set.IntVar(&f.text.Questions, "questions", 1, "with --haystack: `number` of questions about each text, all of the same cache")
		set.IntVar(&f.text.MaxTokens, "max-tokens", 0, "with --haystack: `number` of tokens of an answer at most; 0: what the right one may take")
		set.StringVar(&f.documents, "documents", "", "`file` of ready texts, a JSON object on each line: tokens and answer as ids, or text, question and answer; and depth")
	})
	cmd.Flags().Lookup("depths").DefValue = "[0.05,0.5,0.95]"
	cmd.MarkFlagFilename("documents", "jsonl")
	cmd.MarkFlagFilename("haystack")
	cmd.RegisterFlagCompletionFunc("needle", cobra.FixedCompletions(needleKindNames(), cobra.ShellCompDirectiveNoFileComp))
}

func needleKindNames() (names []string) {
	for _, k := range bench.NeedleKinds() {
		names = append(names, k.Name)
	}
	return names
}

func needleKindList() string {
	var b strings.Builder
	for _, k := range bench.NeedleKinds() {
		fmt.Fprintf(&b, "  %-10s %s\n", k.Name, k.Title)
	}
	return b.String()
}

// check finds what is wrong before a model is opened.
func (f *haystackFlags) check(cmd *cobra.Command) error {
	if f.documents != "" {
		for _, name := range []string{"haystack", "lengths", "depths", "trials", "seed", "facts", "needle", "questions", "max-tokens"} {
			if cmd.Flags().Changed(name) {
				return usagef("--documents and --%s: the texts are those of the file", name)
			}
		}
		return nil
	}
	if f.haystack == "" {
		for _, name := range []string{"needle", "questions", "max-tokens"} {
			if cmd.Flags().Changed(name) {
				return usagef("--%s is for needles in a text: --haystack FILE", name)
			}
		}
	} else if err := f.checkNeedles(); err != nil {
		return err
	}
	return f.checkGrid()
}

func (f *haystackFlags) checkNeedles() error {
	o := &f.text
	if len(o.Kinds) == 0 {
		return usagef("--needle: want one of %s at least", strings.Join(needleKindNames(), ", "))
	}
	for _, name := range o.Kinds {
		if !slices.Contains(needleKindNames(), name) {
			return usagef("--needle: there is no kind %q (there is: %s)", name, strings.Join(needleKindNames(), ", "))
		}
	}
	switch {
	case o.Questions < 1 || o.Questions > bench.MostFacts:
		return usagef("--questions is %d, want 1 to %d", o.Questions, bench.MostFacts)
	case o.Facts > bench.MostFacts:
		return usagef("--facts is %d, want 1 to %d", o.Facts, bench.MostFacts)
	case o.MaxTokens < 0:
		return usagef("--max-tokens is %d, want 0 (what the right answer may take) or more", o.MaxTokens)
	case len(o.Lengths) > 0 && o.MaxTokens > slices.Min(o.Lengths):
		return usagef("--max-tokens is %d, and --lengths has a text of %d", o.MaxTokens, slices.Min(o.Lengths))
	}
	return nil
}

func (f *haystackFlags) checkGrid() error {
	for _, n := range f.text.Lengths {
		if n < 1 || n > bench.MostLength {
			return usagef("--lengths: %d tokens, want 1 to %d", n, bench.MostLength)
		}
	}
	for _, d := range f.text.Depths {
		if !(d >= 0 && d <= 1) {
			return usagef("--depths: %g, want 0 (the beginning) to 1", d)
		}
	}
	switch {
	case len(f.text.Lengths) == 0 || len(f.text.Depths) == 0:
		return usagef("--lengths, --depths: want one of each at least")
	case f.text.Trials < 1:
		return usagef("--trials is %d, want 1 or more", f.text.Trials)
	case f.text.Trials > bench.MostTexts/len(f.text.Lengths)/len(f.text.Depths):
		return usagef("--trials is %d, of each of %d lengths and %d depths: want no more than %d texts", f.text.Trials, len(f.text.Lengths), len(f.text.Depths), bench.MostTexts)
	case f.text.Facts < 1 || f.text.Facts > tales.MostFacts:
		return usagef("--facts is %d, want 1 to %d", f.text.Facts, tales.MostFacts)
	}
	return nil
}

// open gets the texts for a model.
func (f *haystackFlags) open(ctx context.Context, a *app, m *mneme.Model) (haystacks, error) {
	switch {
	case f.haystack != "":
		text, err := a.readText(ctx, f.haystack)
		if err != nil {
			return nil, err
		}
		return some(bench.NewPieces(m, text, f.text))
	case f.documents == "":
		return some(bench.NewTales(m, f.text.Grid, f.text.Facts))
	}
	file, err := os.Open(f.documents)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	h, err := some(bench.ReadDocuments(file, m))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.documents, err)
	}
	return h, nil
}

// some are texts, or none where there is an error.
func some[T haystacks](texts T, err error) (haystacks, error) {
	if err != nil {
		return nil, err
	}
	return texts, nil
}
