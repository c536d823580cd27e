package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/bench"
	"github.com/mneme-lm/mneme/internal/atomicfile"
	"github.com/mneme-lm/mneme/internal/sysmem"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The files of --out.
const (
	needleResultFile = "needle.json"
	needleLogFile    = "trials.jsonl"
)

// needleCommand measures what a model finds in long texts.
type needleCommand struct {
	*app
	model     modelFlags
	memory    memoryFlags
	haystacks haystackFlags
	pass      float64
	out       string
	parallel  int
}

// needleResult is what needle --json prints, and what --out keeps, without the timings.
type needleResult struct {
	Model         string                       `json:"model"`
	Adapter       string                       `json:"adapter,omitempty"`
	Settings      map[string]string            `json:"settings"`
	Cells         []bench.NeedleCell           `json:"cells"`
	Types         map[string]bench.NeedleCount `json:"types"`
	Effective     int                          `json:"effective_context"`
	Pass          float64                      `json:"pass"`
	Failures      []bench.NeedleFailure        `json:"failures"`
	BeyondTrained int                          `json:"beyond_trained"`
	Timings       *needleTimings               `json:"timings,omitempty"`
}

type needleTimings struct {
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	Resumed         int     `json:"resumed_trials"` // which --out had
}

func newNeedle(a *app) *cobra.Command {
	c := &needleCommand{app: a}
	cmd := &cobra.Command{
		Use:   "needle -m FILE",
		Short: "Measure what a model finds in long texts",
		Long: "needle has a model read texts of some lengths in which something is hidden at some depths, asks for it at the end, and\n" +
			"prints how often the answer is right. The text is read first, and the cache brought within its budget, before the\n" +
			"question is: no policy sees it earlier. The answer is what the model then writes by itself, the most probable token each\n" +
			"time; it is right if all its tokens are. For models of the small language that infer train teaches, texts are made:\n" +
			"another story for every trial. With --haystack they are pieces of a text with needles between its sentences, for models\n" +
			"that know a language: the question is put as a text to be continued, not by a chat template, and the answer is right if\n" +
			"all that is asked for occurs in it. The needles are\n" + needleKindList() +
			"The effective context is the largest length at which every depth has a share of --pass right answers, as at all shorter\n" +
			"lengths. A text that cannot be read, for want of memory or since a learned memory diverged, counts as not answered, and\n" +
			"the reason is printed. With --out, what is interrupted goes on where it was, and comes to the same result; more lengths,\n" +
			"depths and trials may be added, and texts that there was no memory for are tried again.",
		Example: `  infer needle -m base.gguf --lengths 256,1024,4096 --depths 0.05,0.5,0.95 --trials 200 --out base-needles
  infer needle -m base.gguf --lengths 1024 --kv h2o --kv-budget 256 --json
  infer needle -m model.gguf --haystack book.txt --needle number,keys,tracking --lengths 4096,16384
  infer needle -m model.gguf --documents needles.jsonl`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	c.haystacks.add(cmd)
	addGroup(cmd, "Measurement", func(set *pflag.FlagSet) {
		set.Float64Var(&c.pass, "pass", bench.DefaultPass, "`share` of right answers from which a length and depth counts as answered")
		set.StringVar(&c.out, "out", "", "`folder` for the result as "+needleResultFile+", and for the trials that are done, from which an interrupted measurement goes on")
		set.IntVar(&c.parallel, "parallel", 0, "`number` of texts to read at a time, each with its share of the threads; 0: one for each thread where the model is small, as far as memory allows, else one")
	})
	cmd.MarkFlagDirname("out")
	c.memory.add(cmd, "`number` of tokens to announce to a session; 0: as many as its text needs")
	cmd.Flags().MarkHidden("trace")
	return cmd
}

func (c *needleCommand) run(cmd *cobra.Command) error {
	o, err := c.options(cmd)
	if err != nil {
		return err
	}
	m, err := c.model.open(c.app)
	if err != nil {
		return err
	}
	models := []*mneme.Model{m}
	defer func() {
		for _, m := range models {
			m.Close()
		}
	}()
	texts, err := c.haystacks.open(cmd.Context(), c.app, m)
	if err != nil {
		return err
	}
	if n := c.atATime(m, texts, o.Session); n > 1 {
		threads := m.Threads()
		if err := m.Close(); err != nil {
			return err
		}
		if models, err = c.open(n, max(1, threads/n)); err != nil {
			return err
		}
	}
	m, o.Beside = models[0], models[1:]
	settings, err := c.settings(m, texts)
	if err != nil {
		return err
	}
	r, err := c.measure(cmd.Context(), m, texts, o, settings)
	if err != nil {
		return err
	}
	return c.tell(m, r, settings)
}

// options turns the flags into those of the measurement.
func (c *needleCommand) options(cmd *cobra.Command) (o bench.NeedleOptions, err error) {
	if err := c.model.check(); err != nil {
		return o, err
	}
	if err := c.haystacks.check(cmd); err != nil {
		return o, err
	}
	switch {
	case !(c.pass > 0 && c.pass <= 1):
		return o, usagef("--pass is %g, want more than 0 and at most 1", c.pass)
	case c.parallel < 0:
		return o, usagef("--parallel is %d, want 0 (as many as are fast) or more", c.parallel)
	case c.parallel > 1 && c.memory.store != "":
		return o, usagef("--parallel %d: one text at a time has its keys and values in the file of --kv-store", c.parallel)
	case c.memory.trace != "":
		return o, usagef("--trace: it would not tell one text from the other")
	}
	o.Pass, o.Context = c.pass, c.memory.context
	o.Session, err = c.memory.options()
	return o, err
}

// smallModel is how many bytes of weights a model has at most that gains more from reading several texts at a time than from
// several threads for one.
const smallModel = 64 << 20

// atATime is how many texts are read at a time: as many as there are threads, or as fit into half of the memory to spare, and no more
// than there are.
func (c *needleCommand) atATime(m *mneme.Model, texts bench.Haystacks, session []mneme.SessionOption) int {
	places := texts.Places()
	if c.parallel > 0 {
		return min(c.parallel, len(places))
	}
	if c.memory.store != "" {
		return 1
	}
	longest := c.memory.context
	for _, p := range places {
		longest = max(longest, p.Length)
	}
	plan, err := m.Plan(longest, session...)
	if err != nil || plan.WeightsBytes > smallModel {
		return 1 // what is wrong shows when the text is read
	}
	n := int64(min(m.Threads(), len(places)))
	if free, known := sysmem.Available(); known {
		n = min(n, free/2/max(1, plan.RepackedBytes+plan.KVBytes+plan.StateBytes+plan.ScratchBytes))
	}
	return int(max(1, n))
}

// open opens the model several times.
func (c *needleCommand) open(times, threads int) (models []*mneme.Model, err error) {
	quiet := *c.app
	quiet.stderr = io.Discard // what there is to warn of has been said
	quiet.threads = threads
	for range times {
		m, err := c.model.open(&quiet)
		if err != nil {
			for _, m := range models {
				err = errors.Join(err, m.Close())
			}
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

// settings is what every trial depends on.
func (c *needleCommand) settings(m *mneme.Model, texts haystacks) ([]bench.Setting, error) {
	print, err := m.Fingerprint()
	if err != nil {
		return nil, err
	}
	return slices.Concat([]bench.Setting{
		{Name: "the model", Value: print}, {Name: "--cpu", Value: m.Kernels()},
		{Name: "--attention", Value: c.memory.method(m)}, {Name: "--kv", Value: c.memory.cache}, {Name: "--kv-budget", Value: fmt.Sprint(c.memory.budget)},
		{Name: "--kv-type", Value: c.memory.rows.value}, {Name: "--memory", Value: c.memory.learned.value},
		{Name: "--prefill-block", Value: fmt.Sprint(c.memory.block)}, {Name: "--ctx", Value: fmt.Sprint(c.memory.context)},
	}, texts.Settings()), nil
}

// measure reads the texts, but for those whose trials --out has.
func (c *needleCommand) measure(ctx context.Context, m *mneme.Model, texts haystacks, o bench.NeedleOptions, settings []bench.Setting) (r *bench.NeedleResult, err error) {
	if c.out != "" {
		if err := os.MkdirAll(c.out, 0o777); err != nil {
			return nil, err
		}
		if o.Log, err = bench.OpenNeedleLog(filepath.Join(c.out, needleLogFile), settings); err != nil {
			return nil, fmt.Errorf("--out: %w", err)
		}
		defer func() { err = errors.Join(err, o.Log.Close()) }()
	}
	bar := c.newProgress("reading", false)
	defer bar.finish()
	o.Progress = func(done, total int) { bar.set(int64(done), int64(total)) }
	return bench.Needle(ctx, m, texts, o)
}

// tell keeps and prints the result.
func (c *needleCommand) tell(m *mneme.Model, r *bench.NeedleResult, settings []bench.Setting) error {
	result := needleResult{
		Model: c.model.path, Adapter: c.model.adapter, Settings: map[string]string{}, Cells: r.Cells, Types: r.Types, Effective: r.EffectiveContext, Pass: r.Pass,
		Failures: append([]bench.NeedleFailure{}, r.Failures...), BeyondTrained: r.BeyondTrained,
	}
	for _, s := range settings {
		result.Settings[s.Name] = s.Value
	}
	if c.out != "" {
		if err := writeJSON(filepath.Join(c.out, needleResultFile), result); err != nil {
			return err
		}
	}
	for _, f := range r.Failures {
		c.warn("%s about %s of %d tokens count as not answered: %s", counted(f.Questions, "question"), counted(f.Count, "text"), f.Length, f.Message)
	}
	c.warnBeyondTrained(m, r.BeyondTrained, c.memory.cache)
	if c.json {
		result.Timings = &needleTimings{r.Elapsed.Seconds(), r.TokensPerSecond(), r.Resumed}
		return c.printJSON(result)
	}
	c.printGrid(r)
	return nil
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// writeJSON writes a file that appears whole or not at all.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(append(data, '\n')); err != nil {
		return err
	}
	return f.Commit()
}

// printGrid prints the share of right answers, a line for each length and a column for each depth.
func (c *needleCommand) printGrid(r *bench.NeedleResult) {
	var lengths []int
	var depths []float64
	cells := map[[2]float64]bench.NeedleCell{}
	for _, cell := range r.Cells {
		lengths, depths = append(lengths, cell.Length), append(depths, cell.Depth)
		cells[[2]float64{float64(cell.Length), cell.Depth}] = cell
	}
	slices.Sort(lengths)
	slices.Sort(depths)
	lengths, depths = slices.Compact(lengths), slices.Compact(depths)
	c.printf("| tokens |")
	for _, d := range depths {
		c.printf(" at %s |", percent(d))
	}
	c.printf("\n|---:|")
	for range depths {
		c.printf("---:|")
	}
	c.printf("\n")
	for _, l := range lengths {
		c.printf("| %d |", l)
		for _, d := range depths {
			cell, ok := cells[[2]float64{float64(l), d}]
			if !ok {
				c.printf(" |")
				continue
			}
			c.printf(" %s of %d |", percent(cell.Share()), cell.Trials)
		}
		c.printf("\n")
	}
	c.printf("\neffective context %d: the largest length at which at least %s of the answers are right, at every depth and at all shorter lengths\n",
		r.EffectiveContext, percent(r.Pass))
}

// percent prints a share for people: a whole number of percent where it is one.
func percent(share float64) string {
	p := 100 * share
	if r := math.Round(p); math.Abs(p-r) < 1e-9 {
		return fmt.Sprintf("%.0f%%", r)
	}
	return fmt.Sprintf("%.1f%%", p)
}
