package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/kvcache/episodic"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// historyFlags say which conversation questions are about.
type historyFlags struct {
	path            string
	index           int
	asker, answerer string
}

func (f *historyFlags) add(cmd *cobra.Command) {
	addGroup(cmd, "Conversation", func(set *pflag.FlagSet) {
		set.StringVar(&f.path, "history", "", "`file` with the conversation (-: standard input): JSON of {\"speaker\", \"text\"} or {\"role\", \"content\"}, LoCoMo's JSON, or text with \"Name: \" before what each says")
		set.IntVar(&f.index, strings.TrimPrefix(conversationFlag, "--"), -1, "`number` of the conversation, from 0, where the file holds several")
		set.StringVar(&f.asker, "asker", "User", "`name` of who asks")
		set.StringVar(&f.answerer, "answerer", "Assistant", "`name` of who answers")
	})
	cmd.MarkFlagFilename("history")
}

func (f *historyFlags) check(cmd *cobra.Command) error {
	switch {
	case f.path == "":
		return usagef("no conversation given: --history FILE")
	case cmd.Flags().Changed(strings.TrimPrefix(conversationFlag, "--")) && f.index < 0:
		return usagef("%s is %d, want 0 or more", conversationFlag, f.index)
	case strings.TrimSpace(f.asker) == "" || strings.TrimSpace(f.answerer) == "":
		return usagef("--asker and --answerer: who asks and who answers has a name")
	}
	return nil
}

func (f *historyFlags) read(ctx context.Context, a *app) ([]episodic.Utterance, error) {
	text, err := a.readText(ctx, f.path)
	if err != nil {
		return nil, err
	}
	return readHistory([]byte(text), f.path, f.index)
}

// questionFlags say what is asked.
type questionFlags struct {
	promptFlags // its file, and how texts are read
	texts       []string
}

func (f *questionFlags) add(cmd *cobra.Command) {
	addGroup(cmd, "Question", func(set *pflag.FlagSet) {
		set.StringArrayVarP(&f.texts, "prompt", "p", nil, "`text` of the question (repeatable: each is answered by itself)")
		set.StringVarP(&f.file, "file", "f", "", "`file` with a question (-: standard input)")
		set.BoolVarP(&f.escape, "escape", "e", false, `read \n, \t, \r, \', \", \\ and \x41 in texts on the command line as what they stand for`)
	})
}

func (f *questionFlags) check(cmd *cobra.Command) error {
	switch prompt, file := cmd.Flags().Changed("prompt"), cmd.Flags().Changed("file"); {
	case prompt && file:
		return usagef("--prompt and --file: one of them is enough")
	case file:
		f.given = "file"
	case !prompt:
		return usagef("no question given: -p TEXT or -f FILE")
	}
	for _, text := range f.texts {
		if strings.TrimSpace(text) == "" {
			return usagef("--prompt: the question is empty")
		}
	}
	return nil
}

func (f *questionFlags) read(ctx context.Context, a *app) ([]string, error) {
	if f.given == "file" {
		text, err := f.promptFlags.read(ctx, a)
		if err == nil && strings.TrimSpace(text) == "" {
			err = inFile(f.file, errors.New("the question is empty"))
		}
		return []string{text}, err
	}
	var texts []string
	for _, text := range f.texts {
		texts = append(texts, f.unescape(text))
	}
	return texts, nil
}

// episodeFlags say what episodes are made.
type episodeFlags struct {
	episodes        int
	width           int
	representatives int
	split           bool
	below           float64
	routing         choice
	seed            uint64
	folder          string
	allocation      choice
	alpha           float64
	profile         string

	thresholded bool // below was given
	sharpened   bool // alpha was
}

func (f *episodeFlags) add(cmd *cobra.Command) {
	f.routing = choice{value: "cosine", offered: []string{"cosine", "dot"}}
	f.allocation = choice{value: "uniform", offered: []string{"uniform", "paper", "code"}}
	addGroup(cmd, "Episodes", func(set *pflag.FlagSet) {
		set.IntVar(&f.episodes, "episodes", episodic.Episodes, "`number` of episodes")
		set.IntVar(&f.width, "segment", episodic.SegmentWidth, "`number` of utterances that stay together")
		set.BoolVar(&f.split, "split-long", false, "have utterances of more than 500 characters count as their sentences")
		set.IntVar(&f.representatives, "representatives", episodic.RepresentativeSegments, "`number` of segments that stand for an episode where its rows are chosen")
		set.Float64Var(&f.below, "new-episode-below", 0, "answer a question that is less `similar` to every episode from a new and empty one; default: never")
		set.Lookup("new-episode-below").DefValue = "0" // which is left out of help
		set.Var(&f.routing, "routing", "`how` questions are compared with episodes: cosine (the paper) or dot (its authors' code)")
		set.Uint64Var(&f.seed, "cluster-seed", 42, "`seed` of the clustering")
		set.StringVar(&f.folder, "episodes-dir", "", "`folder` that keeps the episodes: made if it holds none, else used for the history that it was made from, which may have gone on")
		set.Var(&f.allocation, "allocation", "`how` layers share the budget: uniform, paper (equation 10) or code (the authors'), both with a quarter of the mean for every layer; these two use the file of infer profile, which uniform does without")
		set.Float64Var(&f.alpha, "alpha", 0, "`exponent` of the allocation; default: 2 for paper, 1.1 for code")
		set.StringVar(&f.profile, "profile", "", "`file` of infer profile; default: the model's name with "+profileSuffix)
	})
	cmd.MarkFlagDirname("episodes-dir")
	cmd.MarkFlagFilename("profile", "json")
	for name, c := range map[string]*choice{"routing": &f.routing, "allocation": &f.allocation} {
		cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.offered, cobra.ShellCompDirectiveNoFileComp))
	}
}

func (f *episodeFlags) check(cmd *cobra.Command) error {
	f.thresholded, f.sharpened = cmd.Flags().Changed("new-episode-below"), cmd.Flags().Changed("alpha")
	for name, n := range map[string]int{"episodes": f.episodes, "segment": f.width, "representatives": f.representatives} {
		if n < 1 {
			return usagef("--%s is %d, want 1 or more", name, n)
		}
	}
	switch {
	case !(f.below >= -1 && f.below <= 1):
		return usagef("--new-episode-below is %g, want -1 to 1", f.below)
	case f.sharpened && f.allocation.value == "uniform":
		return usagef("--alpha: --allocation uniform has no exponent")
	case !(f.alpha >= 0) || math.IsInf(f.alpha, 1):
		return usagef("--alpha is %g, want 0 or more", f.alpha)
	case f.profile != "" && f.allocation.value == "uniform":
		return usagef("--profile: --allocation uniform uses none")
	}
	return nil
}

// readProfile reads the model's sensitivity if it is needed.
func (f *episodeFlags) readProfile(model string) (*episodic.Profile, error) {
	if f.allocation.value == "uniform" {
		return nil, nil
	}
	if f.profile == "" {
		f.profile = profilePath(model)
	}
	p, err := readProfile(f.profile, model)
	if err != nil {
		return nil, fmt.Errorf("--allocation %s: %w", f.allocation.value, err)
	}
	return p, nil
}

// options turns the flags into those of a conversation.
func (f *episodeFlags) options(m *mneme.Model, profile *episodic.Profile) ([]mneme.ConversationOption, error) {
	routing := episodic.Cosine
	if f.routing.value == "dot" {
		routing = episodic.DotProduct
	}
	options := []mneme.ConversationOption{
		mneme.WithEpisodes(f.episodes), mneme.WithSegmentWidth(f.width), mneme.WithRepresentatives(f.representatives),
		mneme.WithRouting(routing), mneme.WithClusterSeed(f.seed), mneme.WithEpisodeFolder(f.folder),
	}
	if f.split {
		options = append(options, mneme.WithLongUtterancesSplit())
	}
	if f.thresholded {
		options = append(options, mneme.WithNewEpisodeBelow(f.below))
	}
	if profile == nil {
		return options, nil
	}
	fingerprint, err := m.Fingerprint()
	if err != nil {
		return nil, err
	}
	if err := profile.CheckModel(fingerprint, m.Config().Layers); err != nil {
		return nil, inFile(f.profile, err)
	}
	rule := allocation(f.allocation.value)
	if f.sharpened {
		rule.Alpha = f.alpha
	}
	return append(options, mneme.WithSensitivity(profile.Sigma, rule)), nil
}
