package main

import (
	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/spf13/cobra"
)

// policyResult is one policy as policies --json prints it.
type policyResult struct {
	Name       string   `json:"name"`
	Keeps      string   `json:"keeps"`
	Paper      string   `json:"paper"`
	Ahead      bool     `json:"looks_ahead"`
	Parameters []string `json:"parameters"`
}

// commonParameters explains the parameters that all policies have: see kvcache.NewEviction.
const commonParameters = `Parameters of all but full:
  sinks=4                  rows at the first positions, which are kept
  recent=N                 newest rows, which are kept; by default as many as the policy's paper says
  interval=N               rows to drop at a time while tokens are written one by one; by default a sixteenth of the budget
  heads=uniform|pair       every KV head keeps as many rows, or those of a layer share its budget
  positions=packed|text    keys are rotated to positions without gaps, or to those in the text; window, sirllm
                           and treekv are packed by default

Any of them, and full, with +think behind it, and positions=text: keys of old rows lose the channels that queries use least
(ThinK, arXiv 2407.21018). Its parameters:
  ratio=0.4                share of the channels that go
  recent=32                newest rows, which keep all channels
  interval=N               rows to prune at a time; by default what fills a page with the recent ones
`

func newPolicies(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "policies",
		Short: "List what --kv can keep of a text",
		Long: "policies lists the policies of the KV cache with their papers and parameters. --kv NAME --kv-budget N keeps N rows per\n" +
			"KV head; parameters follow the name: --kv window:sinks=8,interval=1.",
		Example: "  infer policies",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			list := []policyResult{{Name: kvcache.Full, Keeps: "every row", Parameters: []string{}}}
			for _, k := range mneme.Policies() {
				parameters, err := kvcache.Parameters(k.Name)
				if err != nil {
					return err
				}
				list = append(list, policyResult{k.Name, k.Title, k.Paper, k.Ahead, parameters})
			}
			if a.json {
				return a.printJSON(map[string][]policyResult{"policies": list})
			}
			for _, p := range list {
				a.printf("%-13s %s", p.Name, p.Keeps)
				if p.Paper != "" {
					a.printf(" (%s)", p.Paper)
				}
				if p.Ahead {
					a.printf("; looks ahead at the question")
				}
				a.printf("\n")
				for i, name := range p.Parameters {
					if i == 0 {
						a.printf("%-13s parameters:", "")
					}
					a.printf(" %s", name)
				}
				if len(p.Parameters) > 0 {
					a.printf("\n")
				}
			}
			a.printf("\n%s", commonParameters)
			return nil
		},
	}
}
