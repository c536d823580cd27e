package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// modelFlags say which model runs, and on what.
type modelFlags struct {
	path    string
	adapter string
	cpu     string
	repack  bool
}

// add gives a command that runs a model the flags for it.
func (f *modelFlags) add(cmd *cobra.Command) {
	addGroup(cmd, "Model", func(set *pflag.FlagSet) {
		addModelPath(set, &f.path)
		set.StringVar(&f.adapter, "adapter", "", "GGUF `file` with memories that were trained for this model, which then reads and writes them (see --memory)")
		set.StringVar(&f.cpu, "cpu", "", "`kernels` to compute with, by name (generic: plain Go); default: $MNEME_CPU, else the fastest")
		set.BoolVar(&f.repack, "repack", false, "copy the weights into the layout that the kernels read fastest: writes faster, takes as much memory again")
	})
	completeModelPath(cmd)
	cmd.MarkFlagFilename("adapter", "gguf")
}

// addModelPath declares -m.
func addModelPath(set *pflag.FlagSet, path *string) {
	set.StringVarP(path, "model", "m", "", "GGUF `file`, or the first of a split one")
}

// completeModelPath has the shell offer GGUF files for -m.
func completeModelPath(cmd *cobra.Command) {
	cmd.MarkFlagFilename("model", "gguf") // fails only if there is no such flag
}

var errNoModel = usageError{errors.New("no model given: -m FILE")}

// check finds what is wrong before a model is opened.
func (f *modelFlags) check() error {
	if f.path == "" {
		return errNoModel
	}
	if f.cpu == "" {
		return nil
	}
	if _, err := kernels.Choose(f.cpu); err != nil {
		return usagef("--cpu: %w", err)
	}
	return nil
}

// open opens the model.
func (f *modelFlags) open(a *app) (*mneme.Model, error) {
	m, err := mneme.Open(f.path, f.options(a)...)
	if err != nil {
		return nil, err
	}
	if f.repack {
		a.warnNotRepacked(m)
	}
	if t := m.Tokenizer(); t != nil && t.PreAssumed() {
		a.warnPreTokenizer(f.path)
	}
	return m, nil
}

func (f *modelFlags) options(a *app) []mneme.ModelOption {
	options := []mneme.ModelOption{mneme.WithThreads(a.threads), mneme.WithKernels(f.cpu), mneme.WithAdapter(f.adapter)}
	if f.repack {
		options = append(options, mneme.WithRepack())
	}
	return options
}

// warnNotRepacked tells which weights --repack leaves as they are stored.
func (a *app) warnNotRepacked(m *mneme.Model) {
	r := m.Repacking()
	if r.Stored == 0 {
		return
	}
	var types []string
	for _, t := range r.Types {
		types = append(types, t.String())
	}
	which := "weights"
	if r.Bytes == 0 {
		which = "all weights"
	}
	a.warn("--repack: %s (%s of %s) stay as they are stored: kernels %s have no other layout for them",
		which, byteSize(r.Stored), strings.Join(types, ", "), m.Kernels())
}

func (a *app) warnPreTokenizer(path string) {
	a.warn("%s: the file names no pre-tokenizer, %q is taken: its text may be cut otherwise than the model was trained with", path, "default")
}

// warnBeyondTrained tells that a text was longer than the model can be expected to understand. Where a policy drops rows, the
// positions that these leave free could be given to others.
func (a *app) warnBeyondTrained(m *mneme.Model, beyond int, kv string) {
	if beyond <= 0 {
		return
	}
	hint := ""
	const budget = 1 << 20 // enough for any parameters
	if e, err := kvcache.NewEviction(kv, []int{budget}); err == nil && !e.Needs().Packed && !e.Prunes() {
		hint = fmt.Sprintf("; --kv %s:positions=packed keeps positions within the budget", e.Kind().Name)
	}
	a.warn("the text was %d tokens longer than the %d that the model was trained for%s", beyond, m.Config().ContextLength, hint)
}

// needTokenizer fails for a model that cannot read text.
func needTokenizer(m *mneme.Model, path string) error {
	if m.Tokenizer() == nil {
		return fmt.Errorf("%s: %w: give its prompt as --tokens 1,2,3", path, mneme.ErrNoTokenizer)
	}
	return nil
}
