package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/bench"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// benchCommand measures how fast a model runs, and what the machine could do at best.
type benchCommand struct {
	*app
	model   modelFlags
	memory  memoryFlags
	prompts []int
	gen     []int
	depths  []int
	repeat  int
	readMiB int
	csv     bool
}

// benchResult is what bench --json prints.
type benchResult struct {
	Model    string `json:"model"`
	Bytes    int64  `json:"bytes"` // of the tensors
	Kernels  string `json:"kernels"`
	Threads  int    `json:"threads"`
	KVType   string `json:"kv_type"`
	KV       string `json:"kv"`        // policy
	KVBudget int    `json:"kv_budget"` // rows per KV head; 0: no bound
	// Attention is the method, of which the budget may be that of rows to open.
	Attention string        `json:"attention"`
	Repeat    int           `json:"repeat"`
	Roofline  benchRoofline `json:"roofline"`
	Rows      []benchRow    `json:"rows"`

	opensSome bool // of the rows
}

type benchRoofline struct {
	ReadGBps  float64 `json:"read_gbps"`
	Int8GOPS  float64 `json:"int8_gops"`
	F32GFLOPS float64 `json:"f32_gflops"`
}

type benchRow struct {
	Test            string  `json:"test"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	StdDev          float64 `json:"stddev"`
	OfRoofline      float64 `json:"of_roofline"`
	AttentionMass   float64 `json:"attention_mass,omitempty"` // share of the attention that the rows hold which queries open
}

func newBench(a *app) *cobra.Command {
	c := &benchCommand{app: a}
	cmd := &cobra.Command{
		Use:   "bench -m FILE",
		Short: "Measure speed, and what the machine could do at best",
		Long: "bench measures how many tokens per second a model reads (pp512: a prompt of 512) and writes (tg32: 32 of them, one\n" +
			"by one), with a cache that is empty or holds --depth tokens before (tg32@d4096), and in the same minute what the\n" +
			"machine can do at most: reading memory, float32 multiply-adds and 8-bit products, with the same threads and kernels.\n" +
			"The last column is the share of that: of the time for the bytes that each written token needs (weights, keys and\n" +
			"values), or for the operations of the matrix products of a prompt. Lists make a sweep. Where queries open some of the\n" +
			"rows, there is one more column: the share of their attention that these hold, over the noise of a depth.",
		Example: `  infer bench -m model.gguf
  infer bench -m model.gguf --prompt 128,512,2048 --gen 0
  infer bench -m model.gguf --prompt 0 --gen 32 --depth 0,4096,32768 --kv-type q8_0 --csv
  infer bench -m model.gguf --prompt 0 --gen 32 --depth 131072 --attention retrieval --kv-budget 4096`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	addGroup(cmd, "Measurement", func(set *pflag.FlagSet) {
		set.IntSliceVarP(&c.prompts, "prompt", "p", []int{512}, "`numbers` of tokens to read; 0: none")
		set.IntSliceVarP(&c.gen, "gen", "n", []int{32}, "`numbers` of tokens to write; 0: none")
		set.IntSliceVarP(&c.depths, "depth", "d", []int{0}, "`numbers` of tokens that the cache, and a memory, hold before: noise, written there directly")
		set.IntVarP(&c.repeat, "repeat", "r", bench.DefaultRepeats, "`number` of runs of each test, after one that does not count")
		set.IntVar(&c.readMiB, "read-mib", bench.DefaultReadBytes>>20, "`MiB` to read for the machine's bandwidth: many times what its caches hold")
		set.BoolVar(&c.csv, "csv", false, "print comma-separated values")
	})
	c.memory.add(cmd, "`number` of tokens to announce to a session; 0: as many as its longest test needs")
	return cmd
}

func (c *benchCommand) run(cmd *cobra.Command) (err error) {
	defer func() { c.memory.finish(&err) }()
	options, err := c.options()
	if err != nil {
		return err
	}
	m, err := c.model.open(c.app)
	if err != nil {
		return err
	}
	defer m.Close()
	plan, err := m.Plan(0)
	if err != nil {
		return err
	}
	bar := c.newProgress("measuring", false)
	options.Progress = func(done, total int) { bar.set(int64(done), int64(total)) }
	r, err := bench.Throughput(cmd.Context(), m, options)
	bar.finish()
	if err != nil {
		return err
	}
	return c.print(c.result(m, plan, r))
}

// options turns the flags into those of the measurement.
func (c *benchCommand) options() (bench.ThroughputOptions, error) {
	o := bench.ThroughputOptions{Depths: c.depths, Repeats: c.repeat, Context: c.memory.context}
	if err := c.model.check(); err != nil {
		return o, err
	}
	none := func(n int) bool { return n == 0 }
	o.Prompts, o.Generate = slices.DeleteFunc(slices.Clone(c.prompts), none), slices.DeleteFunc(slices.Clone(c.gen), none)
	lengths := slices.Concat(o.Prompts, o.Generate)
	const most = 1<<31 - 1
	switch {
	case c.csv && c.json:
		return o, usagef("--csv and --json: one form is enough")
	case len(lengths) == 0:
		return o, usagef("nothing to measure: no tokens to read (--prompt) and none to write (--gen)")
	case slices.Min(lengths) < 0 || slices.Max(lengths) > most:
		return o, usagef("--prompt %v, --gen %v: want 0 (none) to %d tokens", c.prompts, c.gen, most)
	case len(c.depths) == 0 || slices.Min(c.depths) < 0 || slices.Max(c.depths) > most:
		return o, usagef("--depth %v: want 0 to %d tokens", c.depths, most)
	case c.repeat < 1:
		return o, usagef("--repeat is %d, want 1 or more", c.repeat)
	case c.readMiB < 1 || c.readMiB > 1<<20:
		return o, usagef("--read-mib is %d, want 1 to %d", c.readMiB, 1<<20)
	}
	if need := slices.Max(c.depths) + slices.Max(lengths); c.memory.context > 0 && c.memory.context < need {
		return o, usagef("--ctx is %d, and the longest test needs %d", c.memory.context, need)
	}
	o.ReadBytes = c.readMiB << 20
	var err error
	o.Session, err = c.memory.options()
	return o, err
}

func (c *benchCommand) result(m *mneme.Model, plan mneme.Plan, r bench.ThroughputResult) benchResult {
	result := benchResult{
		Model: c.model.path, Bytes: plan.WeightsBytes, Kernels: m.Kernels(), Threads: m.Threads(), KVType: c.memory.rows.value,
		KV: c.memory.cache, KVBudget: c.memory.budget, Attention: c.memory.method(m), Repeat: c.repeat,
		Roofline: benchRoofline(r.Roofline), opensSome: r.OpensSome,
	}
	for _, row := range r.Rows {
		result.Rows = append(result.Rows, benchRow(row))
	}
	return result
}

func (c *benchCommand) print(r benchResult) error {
	switch {
	case c.json:
		return c.printJSON(r)
	case c.csv:
		return c.printCSV(r)
	}
	c.printMarkdown(r)
	return nil
}

func (c *benchCommand) printMarkdown(r benchResult) {
	kept := ""
	switch {
	case r.opensSome:
		kept = ", " + r.Attention
	case r.KVBudget > 0:
		kept = ", " + r.KV
	}
	if r.KVBudget > 0 {
		kept += fmt.Sprintf(" with %d rows", r.KVBudget)
	}
	c.printf("%s, %s, KV cache %s%s; kernels %s, threads %d, runs %d\n\n", fromFile(r.Model), byteSize(r.Bytes), r.KVType, kept, r.Kernels, r.Threads, r.Repeat)
	told := len(r.Rows) > 0 && r.Rows[0].AttentionMass > 0
	mass := func(format string, args ...any) string {
		if !r.opensSome || !told {
			return ""
		}
		return fmt.Sprintf(format, args...)
	}
	c.printf("| test | tokens/s | ± | of roofline |%s\n|---|---:|---:|---:|%s\n", mass(" attention mass |"), mass("---:|"))
	for _, row := range r.Rows {
		c.printf("| %s | %.2f | %.2f | %.1f%% |%s\n", row.Test, row.TokensPerSecond, row.StdDev, 100*row.OfRoofline, mass(" %.1f%% |", 100*row.AttentionMass))
	}
	c.printf("\n| the machine at best | |\n|---|---:|\n")
	c.printf("| reads memory | %.1f GB/s |\n", r.Roofline.ReadGBps)
	c.printf("| 8-bit products | %.1f GOPS |\n", r.Roofline.Int8GOPS)
	c.printf("| float32 multiply-adds | %.1f GFLOPS |\n", r.Roofline.F32GFLOPS)
}

// printCSV prints each row with all that it depends on, so that rows of many executions make one table.
func (c *benchCommand) printCSV(r benchResult) error {
	w := csv.NewWriter(c.stdout)
	w.Write([]string{
		"model", "bytes", "kernels", "threads", "kv_type", "kv", "kv_budget", "attention", "repeat", "test", "tokens_per_second", "stddev", "of_roofline",
		"attention_mass", "read_gbps", "int8_gops", "f32_gflops",
	})
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	for _, row := range r.Rows {
		mass := "" // where it cannot be told
		if row.AttentionMass > 0 {
			mass = number(row.AttentionMass)
		}
		w.Write([]string{
			r.Model, fmt.Sprint(r.Bytes), r.Kernels, fmt.Sprint(r.Threads), r.KVType, r.KV, fmt.Sprint(r.KVBudget), r.Attention, fmt.Sprint(r.Repeat), row.Test,
			number(row.TokensPerSecond), number(row.StdDev), number(row.OfRoofline), mass,
			number(r.Roofline.ReadGBps), number(r.Roofline.Int8GOPS), number(r.Roofline.F32GFLOPS),
		})
	}
	w.Flush()
	return w.Error()
}
