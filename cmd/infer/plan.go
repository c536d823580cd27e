package main

import (
	"github.com/mneme-lm/mneme/internal/sysmem"
	"github.com/spf13/cobra"
)

// planCommand works out what a run would take.
type planCommand struct {
	*app
	model  modelFlags
	memory memoryFlags
}

// planResult is what plan --json prints.
type planResult struct {
	Context   int    `json:"ctx"`
	Weights   int64  `json:"weights_bytes"`
	Repacked  int64  `json:"repacked_bytes"`
	Stored    int64  `json:"not_repacked_bytes"` // of the matrices that --repack leaves as they are
	KV        int64  `json:"kv_bytes"`
	Store     int64  `json:"store_bytes,omitempty"` // keys and values in the file of --kv-store, of no memory
	Scratch   int64  `json:"scratch_bytes"`
	State     int64  `json:"state_bytes"`
	Total     int64  `json:"total_bytes"`
	Available *int64 `json:"available_bytes"` // null where the system does not tell
}

func newPlan(a *app) *cobra.Command {
	c := &planCommand{app: a}
	cmd := &cobra.Command{
		Use:   "plan -m FILE --ctx N",
		Short: "Show what memory a text would take",
		Long: "plan prints the memory that a text of --ctx tokens takes: the weights, mapped from the file, with --repack\n" +
			"their copy, the keys and values of all tokens, the forward pass, and as state what a policy notes of rows, the\n" +
			"summaries of blocks by which --attention retrieval finds them, and learned memories.",
		Example: `  infer plan -m model.gguf --ctx 32768 --kv-type q8_0`,
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.model.add(cmd)
	c.memory.add(cmd, "`number` of tokens; 0: as many as the model was trained for")
	return cmd
}

func (c *planCommand) run(cmd *cobra.Command) error {
	if cmd.Flags().Changed("trace") {
		return usagef("--trace: nothing is read, and nothing dropped")
	}
	if err := c.model.check(); err != nil {
		return err
	}
	options, err := c.memory.options()
	if err != nil {
		return err
	}
	repack := c.model.repack
	c.model.repack = false // what it would take can be told without doing it
	m, err := c.model.open(c.app)
	if err != nil {
		return err
	}
	defer m.Close()
	r := planResult{Context: c.memory.context}
	if r.Context == 0 {
		r.Context = m.Config().ContextLength
	}
	plan, err := m.Plan(r.Context, options...)
	if err != nil {
		return err
	}
	r.Weights, r.KV, r.Store, r.Scratch, r.State = plan.WeightsBytes, plan.KVBytes, plan.StoreBytes, plan.ScratchBytes, plan.StateBytes
	if repack {
		repacking := m.Repacking()
		r.Repacked, r.Stored = repacking.Bytes, repacking.Stored
		c.warnNotRepacked(m)
	}
	r.Total = r.Weights + r.Repacked + r.KV + r.Scratch + r.State
	if free, known := sysmem.Available(); known {
		r.Available = &free
	}
	if c.json {
		return c.printJSON(r)
	}
	c.print(r)
	return nil
}

func (c *planCommand) print(r planResult) {
	c.printf("%d tokens\n", r.Context)
	for _, row := range []struct {
		name  string
		bytes int64
	}{{"weights", r.Weights}, {"repacked", r.Repacked}, {"KV cache", r.KV}, {"scratch", r.Scratch}, {"state", r.State}, {"total", r.Total}} {
		c.printf("  %-10s %12s\n", row.name, byteSize(row.bytes))
	}
	if r.Store > 0 {
		c.printf("  %-10s %12s in %s\n", "KV cache", byteSize(r.Store), c.memory.store)
	}
	if r.Available != nil {
		c.printf("  %-10s %12s now\n", "available", byteSize(*r.Available))
	}
}
