package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// memoryFlags say what a session keeps of its text, and how.
type memoryFlags struct {
	context   int
	block     int
	rows      choice
	cache     string
	attention string
	store     string
	learned   choice
	budget    int
	trace     string
	tracing   *traceFile // once options has opened it
}

// add gives a command the flags; context is the help of --ctx.
func (f *memoryFlags) add(cmd *cobra.Command, context string) {
	f.rows = choice{value: "f16", offered: []string{"f32", "f16", "q8_0"}}
	f.learned = choice{value: "auto", offered: mneme.MemoryKinds()}
	addGroup(cmd, "Memory", func(set *pflag.FlagSet) {
		set.IntVarP(&f.context, "ctx", "c", 0, context)
		set.Var(&f.rows, "kv-type", "`type` of the rows of the KV cache: f32, f16 or q8_0")
		set.StringVar(&f.cache, "kv", kvcache.Full, "`policy` of the KV cache: full keeps every token; name:key=value,… gives parameters (see infer policies)")
		set.IntVar(&f.budget, "kv-budget", 0, "`number` of rows to keep per KV head, the mean over layers, or with --attention landmark and retrieval of rows to open at a time; 0: no bound")
		set.StringVar(&f.trace, "trace", "", "write what each layer and KV head keeps, whenever rows are dropped, to a `file` of JSON lines")
		set.StringVar(&f.attention, "attention", "", "`method` of attention: full, chunked, landmark or retrieval; name:key=value,… gives parameters (see infer policies); without it what the model's metadata says")
		set.Var(&f.learned, "memory", "`kind` of learned memory: auto (what the model's metadata says, or its adapter's), none (its reads are zeros), or what the metadata must say: fifo or neural")
		set.StringVar(&f.store, "kv-store", "", "`file` to keep keys and values in, instead of in memory: with --attention retrieval or landmark for texts that memory would not hold")
		set.IntVar(&f.block, "prefill-block", mneme.DefaultPrefillBlock, "`number` of prompt tokens that go through the model at once")
	})
	for name, c := range map[string]*choice{"kv-type": &f.rows, "memory": &f.learned} {
		cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.offered, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.RegisterFlagCompletionFunc("attention", cobra.FixedCompletions(attention.Names(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("kv", cobra.FixedCompletions(kvcache.Names(), cobra.ShellCompDirectiveNoFileComp))
}

// options turns the flags into those of a session. --ctx is the command's affair.
func (f *memoryFlags) options() ([]mneme.SessionOption, error) {
	switch {
	case f.context < 0:
		return nil, usagef("--ctx is %d, want 0 (no bound) or more", f.context)
	case f.block < 1:
		return nil, usagef("--prefill-block is %d, want 1 or more", f.block)
	case f.budget < 0:
		return nil, usagef("--kv-budget is %d, want 0 (no bound) or more", f.budget)
	}
	if err := f.checkAttention(); err != nil {
		return nil, err
	}
	if err := f.checkPolicy(); err != nil {
		return nil, err
	}
	rows, err := quant.Parse(f.rows.value)
	if err != nil {
		return nil, usagef("--kv-type: %w", err)
	}
	options := []mneme.SessionOption{
		mneme.WithKVType(rows), mneme.WithPrefillBlock(f.block), mneme.WithPolicy(f.cache), mneme.WithKVBudget(f.budget),
		mneme.WithAttention(f.attention), mneme.WithMemory(f.learned.value), mneme.WithKVStore(f.store),
	}
	if f.trace == "" {
		return options, nil
	}
	if f.tracing, err = newTrace(f.trace); err != nil {
		return nil, err
	}
	return append(options, mneme.WithTrace(f.tracing.add)), nil
}

// finish closes what options opened, and adds what went wrong with it to a command's error.
func (f *memoryFlags) finish(err *error) {
	if f.tracing == nil {
		return
	}
	if failed := f.tracing.close(); failed != nil && *err == nil {
		*err = fmt.Errorf("--trace: %w", failed)
	}
}

// method is the name of the method of attention in a session of a model.
func (f *memoryFlags) method(m *mneme.Model) string {
	return cmp.Or(f.attention, m.Config().Attention())
}

// opens reports whether the budget is that of rows to open.
func (f *memoryFlags) opens() bool {
	kind, err := attention.KindOf(f.attention)
	return err == nil && kind.Budget
}

// checkAttention finds what is wrong with the method before a model is opened.
func (f *memoryFlags) checkAttention() error {
	if f.attention == "" {
		return nil
	}
	budget := 0
	if f.opens() {
		budget = f.budget
	}
	if _, err := attention.NewMethod(f.attention, budget); err != nil {
		return usagef("--attention: %w", err)
	}
	return nil
}

// checkPolicy finds what is wrong with the policy before a model is opened.
func (f *memoryFlags) checkPolicy() error {
	name, err := kvcache.Base(f.cache)
	if err != nil {
		return usagef("--kv: %w", err)
	}
	budget := []int{f.budget}
	switch known := kvcache.Names(); {
	case !slices.Contains(known, name):
		return usagef("--kv: there is no policy %q (there is: %s)", name, strings.Join(known, ", "))
	case name == kvcache.Full && f.budget > 0 && !f.opens():
		return usagef("--kv-budget %d: --kv full keeps every row; the policies that drop some are %s", f.budget, strings.Join(known[1:], ", "))
	case f.cache == kvcache.Full:
		return nil
	case name == kvcache.Full:
		budget = nil
	case f.budget == 0:
		return usagef("--kv %s: no budget is given: --kv-budget N rows", f.cache)
	}
	if _, err := kvcache.NewEviction(f.cache, budget); err != nil {
		return usagef("--kv: %w", err)
	}
	return nil
}

// choice is a flag that takes one of several words.
type choice struct {
	value   string
	offered []string
}

func (c *choice) String() string { return c.value }

func (c *choice) Type() string { return "string" }

func (c *choice) Set(s string) error {
	for _, word := range c.offered {
		if strings.EqualFold(s, word) {
			c.value = word
			return nil
		}
	}
	return fmt.Errorf("want one of %s", strings.Join(c.offered, ", "))
}
