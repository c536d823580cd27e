package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot makes the tree of commands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "infer",
		Short:         "Run language models from GGUF files",
		Long:          "infer runs transformer language models from GGUF files on the processor, and tells about them.",
		Example:       `  infer run -m model.gguf -p "Once upon a time" -n 100`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.threads < 0 {
				return usagef("--threads is %d, want 0 (one per processor) or more", a.threads)
			}
			a.started = true
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return errNoCommand },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetVersionTemplate("infer {{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetUsageFunc(usage)
	root.SetFlagErrorFunc(flagError)
	root.SetGlobalNormalizationFunc(normalize)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object")
	root.PersistentFlags().IntVarP(&a.threads, "threads", "t", 0, "`number` of threads that compute; 0: one per processor")
	root.AddCommand(
		newRun(a), newAsk(a), newTokenize(a), newLogits(a), newPerplexity(a), newNeedle(a), newProfile(a), newBench(a), newInspect(a), newPlan(a),
		newQuantize(a), newConvert(a), newSynth(a), newTrain(a), newPolicies(a), newCompletion(a), newVersion(a),
	)
	help := newHelp()
	root.SetHelpCommand(help)
	root.AddCommand(help)
	return root
}

// flagAliases are the names under which users of other engines know some flags.
var flagAliases = map[string]pflag.NormalizedName{
	"ctx-size":     "ctx",
	"n-predict":    "predict",
	"prompt-cache": "session",
	"temperature":  "temp",
	"top-n-sigma":  "top-nsigma",
	"typical-p":    "typical",
}

// normalize lets flags be written with underscores, and by their other names.
func normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	if other, ok := flagAliases[name]; ok {
		return other
	}
	return pflag.NormalizedName(name)
}

// flagError leaves out of an error about a flag's value what only a Go programmer would want to know.
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &invalid) && errors.As(err, &number) {
		return fmt.Errorf("invalid argument %q for --%s: %w", invalid.GetValue(), invalid.GetFlag().Name, number.Err)
	}
	return err
}

// exactly accepts one argument for each of the names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usagef("missing argument: %s", names[len(args)])
		}
		if len(args) > len(names) {
			return usagef("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}
