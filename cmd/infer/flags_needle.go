package main

import (
	"fmt"
	"os"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/bench"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// haystackFlags say which texts are read.
type haystackFlags struct {
	documents string
	grid      bench.Grid
	facts     int
}

// haystacks are texts that know what they depend on.
type haystacks interface {
	bench.Haystacks
	Settings() []bench.Setting
}

func (f *haystackFlags) add(cmd *cobra.Command) {
	addGroup(cmd, "Texts", func(set *pflag.FlagSet) {
		set.IntSliceVar(&f.grid.Lengths, "lengths", []int{256, 1024, 4096}, "`numbers` of tokens that texts have, with question and answer")
		set.Float64SliceVar(&f.grid.Depths, "depths", []float64{.05, .5, .95}, "`shares` of the text that come before what is asked for, 0 to 1")
		set.IntVar(&f.grid.Trials, "trials", 20, "`number` of texts of each length and depth")
		set.Uint64Var(&f.grid.Seed, "seed", 1, "same `seed`, same texts")
		set.IntVar(&f.facts, "facts", bench.DefaultFacts, "`number` of facts in a story of the kind that is asked for")
		set.StringVar(&f.documents, "documents", "", "`file` of ready texts, a JSON object on each line: tokens and answer as ids, or text, question and answer; and depth")
	})
	cmd.MarkFlagFilename("documents", "jsonl")
}

// check finds what is wrong before a model is opened.
func (f *haystackFlags) check(cmd *cobra.Command) error {
	if f.documents == "" {
		return f.checkGrid()
	}
	for _, name := range []string{"lengths", "depths", "trials", "seed", "facts"} {
		if cmd.Flags().Changed(name) {
			return usagef("--documents and --%s: the texts are those of the file", name)
		}
	}
	return nil
}

func (f *haystackFlags) checkGrid() error {
	for _, n := range f.grid.Lengths {
		if n < 1 {
			return usagef("--lengths: %d tokens, want 1 or more", n)
		}
	}
	for _, d := range f.grid.Depths {
		if !(d >= 0 && d <= 1) {
			return usagef("--depths: %g, want 0 (the beginning) to 1", d)
		}
	}
	switch {
	case len(f.grid.Lengths) == 0 || len(f.grid.Depths) == 0:
		return usagef("--lengths, --depths: want one of each at least")
	case f.grid.Trials < 1:
		return usagef("--trials is %d, want 1 or more", f.grid.Trials)
	case f.facts < 1:
		return usagef("--facts is %d, want 1 or more", f.facts)
	}
	return nil
}

// open gets the texts for a model.
func (f *haystackFlags) open(m *mneme.Model) (haystacks, error) {
	if f.documents == "" {
		h, err := bench.NewTales(m, f.grid, f.facts)
		if err != nil {
			return nil, err // not in the interface: a nil of a type is no nil
		}
		return h, nil
	}
	file, err := os.Open(f.documents)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	h, err := bench.ReadDocuments(file, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.documents, err)
	}
	return h, nil
}
