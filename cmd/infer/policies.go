package main

import (
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/spf13/cobra"
)

// policiesResult is what policies --json prints.
type policiesResult struct {
	Policies  []policyResult    `json:"policies"`
	Attention []attentionResult `json:"attention"`
}

// policyResult is one policy.
type policyResult struct {
	Name       string   `json:"name"`
	Keeps      string   `json:"keeps"`
	Paper      string   `json:"paper"`
	Ahead      bool     `json:"looks_ahead"`
	Parameters []string `json:"parameters"`
}

// attentionResult is one method of attention.
type attentionResult struct {
	Name       string   `json:"name"`
	Does       string   `json:"does"`
	Paper      string   `json:"paper"`
	Budget     bool     `json:"budget"` // whether --kv-budget is that of rows to open
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

// attentionParameters explains the parameters of the methods of attention: see package attention.
const attentionParameters = `Parameters of chunked, in all layers, or in those that a pattern says:
  chunk=512                tokens of a piece of the text, of which a query sees its own up to itself
  window=N                 positions that a query sees, its own among them, in place of pieces or beside them
  layers=l                 which layers are local and which see all, over and over: lllg is three and one

Parameters of retrieval, which opens --kv-budget rows at a time, and needs no training:
  summary=mean|bounds|clusters   what stands for a block: the mean of its keys, or the bounds of each channel, or blocks are
                           clusters of similar keys
  block=64                 rows of a block; of a cluster 16 on the average
  sinks=4                  first rows, which are always open; rounded up to where a block can begin
  local=64                 newest rows, which are in no block, and always open
  segment=1024             with clusters, neighbouring rows that are clustered together
  estimate=0               with clusters, the share of those not opened that count by their means

Parameters of landmark, for models that were trained with landmark tokens, in place of what their metadata say:
  blocks=N                 blocks that a query opens, where no --kv-budget is given
  local=N                  tokens that are read at a time
  memory=N                 newest blocks that are kept
  share=none|heads|tokens  every query opens blocks of its own, or the heads of a token open the same ones, or the tokens
                           of a head that are read together do
`

func newPolicies(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "policies",
		Short: "List what --kv can keep of a text, and how --attention can read it",
		Long: "policies lists the policies of the KV cache with their papers and parameters. --kv NAME --kv-budget N keeps N rows per\n" +
			"KV head; parameters follow the name: --kv window:sinks=8,interval=1. After them come the methods of attention, of\n" +
			"which some open N rows of all that are kept: --attention retrieval:block=32 --kv-budget N.",
		Example: "  infer policies",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			r, err := listPolicies()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(r)
			}
			a.printPolicies(r)
			return nil
		},
	}
}

func listPolicies() (policiesResult, error) {
	r := policiesResult{Policies: []policyResult{{Name: kvcache.Full, Keeps: "every row", Parameters: []string{}}}}
	for _, k := range mneme.Policies() {
		parameters, err := kvcache.Parameters(k.Name)
		if err != nil {
			return r, err
		}
		r.Policies = append(r.Policies, policyResult{k.Name, k.Title, k.Paper, k.Ahead, parameters})
	}
	for _, k := range mneme.AttentionMethods() {
		parameters, err := attention.Parameters(k.Name)
		if err != nil {
			return r, err
		}
		r.Attention = append(r.Attention, attentionResult{k.Name, k.Title, k.Paper, k.Budget, append([]string{}, parameters...)})
	}
	return r, nil
}

func (a *app) printPolicies(r policiesResult) {
	a.printf("Policies of the KV cache: --kv NAME\n")
	for _, p := range r.Policies {
		notes := ""
		if p.Ahead {
			notes = "; looks ahead at the question"
		}
		a.printMethod(p.Name, p.Keeps, p.Paper, notes, p.Parameters)
	}
	a.printf("\n%s\nMethods of attention: --attention NAME\n", commonParameters)
	for _, m := range r.Attention {
		notes := ""
		if m.Budget {
			notes = "; --kv-budget is the number of rows to open"
		}
		a.printMethod(m.Name, m.Does, m.Paper, notes, m.Parameters)
	}
	a.printf("\n%s", attentionParameters)
}

// printMethod prints a line on a policy or method, and one on its parameters.
func (a *app) printMethod(name, does, paper, notes string, parameters []string) {
	a.printf("%-13s %s", name, does)
	if paper != "" {
		a.printf(" (%s)", paper)
	}
	a.printf("%s\n", notes)
	if len(parameters) > 0 {
		a.printf("%-13s parameters: %s\n", "", strings.Join(parameters, " "))
	}
}
