package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
)

// cats is a prompt of more tokens than the budgets of these tests, and fewer than the model was trained for.
var cats = strings.TrimSpace(strings.Repeat("the cat sat ", 8))

// bounded runs a test with every policy that drops rows, and a budget that the prompt exceeds; with -short, with some.
func bounded(t *testing.T, test func(t *testing.T, name string, flags []string)) {
	for _, kind := range mneme.Policies() {
		if testing.Short() && !slices.Contains([]string{"window", "kvzip"}, kind.Name) {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) { test(t, kind.Name, []string{"--kv", kind.Name, "--kv-budget", fmt.Sprint(budget)}) })
	}
}

const budget = 32

func TestRunWithinABudget(t *testing.T) {
	heads := int64(openModel(t, tinyModel(t)).Config().Layers * openModel(t, tinyModel(t)).Config().KVHeads)
	bounded(t, func(t *testing.T, name string, flags []string) {
		r := runAsJSON(t, append(flags, "-p", cats, "-n", "30", "--ignore-eos", "--temp", "0", "--prefill-block", "16")...)
		m := r.Memory
		if len(r.PromptTokens) <= budget || len(r.Tokens) != 30 || *m.RowsSeen != len(r.PromptTokens)+29 {
			t.Fatalf("%d tokens of prompt, %d written, %d rows seen", len(r.PromptTokens), len(r.Tokens), *m.RowsSeen)
		}
		if m.Policy != name || *m.RowsKept > budget || *m.RowsKept < budget/2 || *m.Evictions < 2 {
			t.Errorf("policy %s: %d rows kept after %d evictions, want at most %d", m.Policy, *m.RowsKept, *m.Evictions, budget)
		}
		if want := heads * int64(*m.RowsSeen-*m.RowsKept); *m.RowsEvicted != want {
			t.Errorf("%d rows dropped, want %d: %d of %d are left in each of %d heads", *m.RowsEvicted, want, *m.RowsKept, *m.RowsSeen, heads)
		}
		plan := decode[planJSON](t, succeed(t, append([]string{"plan", "--json", "-m", tinyModel(t), "--ctx", "100000", "--prefill-block", "16"}, flags...)...))
		if *m.KVBytesPeak > *plan.KV {
			t.Errorf("a peak of %d bytes, planned were %d", *m.KVBytesPeak, *plan.KV)
		}
	})
	whole := runAsJSON(t, "-p", cats, "-n", "30", "--ignore-eos", "--temp", "0")
	for _, kind := range mneme.Policies() {
		r := runAsJSON(t, "-p", cats, "-n", "30", "--ignore-eos", "--temp", "0", "--kv", kind.Name, "--kv-budget", "1000")
		if *r.Memory.Evictions != 0 || *r.Memory.RowsKept != *r.Memory.RowsSeen || !slices.Equal(r.Tokens, whole.Tokens) {
			t.Errorf("%s with a budget for all: %d evictions, %v, want %v", kind.Name, *r.Memory.Evictions, r.Tokens, whole.Tokens)
		}
	}
}

// Parameters reach the policy, also the name with parameters into what is told.
func TestPolicyParameters(t *testing.T) {
	kept := func(policy string) [][2]int32 {
		trace := filepath.Join(t.TempDir(), "trace")
		r := runAsJSON(t, "-p", cats, "-n", "0", "--kv", policy, "--kv-budget", "32", "--trace", trace)
		if r.Memory.Policy != policy {
			t.Errorf("--kv %s: the policy is told to be %s", policy, r.Memory.Policy)
		}
		lines := readTrace(t, trace)
		return lines[len(lines)-1].Kept
	}
	n := int32(len(runAsJSON(t, "-p", cats, "-n", "0").PromptTokens))
	for policy, sinks := range map[string]int32{"window": kvcache.DefaultSinks, "window:sinks=8": 8, "window:sinks=2,interval=1": 2} {
		if got, want := kept(policy), [][2]int32{{0, sinks}, {n - (32 - sinks), n}}; !slices.Equal(got, want) {
			t.Errorf("--kv %s keeps %v, want %v", policy, got, want)
		}
	}
	if got, want := kept("window:sinks=0"), [][2]int32{{n - 32, n}}; !slices.Equal(got, want) {
		t.Errorf("without sinks it keeps %v, want %v", got, want)
	}
}

// traceJSON is a line of what --trace writes.
type traceJSON struct {
	Step  *int       `json:"step"`
	Layer *int       `json:"layer"`
	Head  *int       `json:"head"`
	Rows  *int       `json:"rows"`
	Kept  [][2]int32 `json:"kept"`
}

func readTrace(t *testing.T, path string) (lines []traceJSON) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var line traceJSON
		d := json.NewDecoder(strings.NewReader(s.Text()))
		d.DisallowUnknownFields()
		if err := d.Decode(&line); err != nil || line.Step == nil || line.Layer == nil || line.Head == nil || line.Rows == nil || line.Kept == nil {
			t.Fatalf("line %d: %q: %v", len(lines)+1, s.Text(), err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTrace(t *testing.T) {
	cfg := openModel(t, tinyModel(t)).Config()
	bounded(t, func(t *testing.T, _ string, flags []string) {
		path := filepath.Join(t.TempDir(), "trace")
		r := runAsJSON(t, append(flags, "-p", cats, "-n", "30", "--ignore-eos", "--prefill-block", "16", "--trace", path)...)
		lines := readTrace(t, path)
		heads := cfg.Layers * cfg.KVHeads
		if len(lines) != *r.Memory.Evictions*heads || len(lines) == 0 {
			t.Fatalf("%d lines for %d evictions from %d heads", len(lines), *r.Memory.Evictions, heads)
		}
		step := 0
		for i, line := range lines {
			if i%heads == 0 {
				if *line.Step < step || *line.Step <= budget || *line.Step > *r.Memory.RowsSeen {
					t.Fatalf("line %d: step %d after %d, of %d", i, *line.Step, step, *r.Memory.RowsSeen)
				}
				step = *line.Step
			}
			if *line.Step != step || *line.Layer != i%heads/cfg.KVHeads || *line.Head != i%cfg.KVHeads {
				t.Fatalf("line %d: step %d, layer %d, head %d", i, *line.Step, *line.Layer, *line.Head)
			}
			rows, last := 0, int32(-1)
			for _, k := range line.Kept {
				if k[0] <= last || k[1] <= k[0] || int(k[1]) > step {
					t.Fatalf("line %d: kept %v at step %d", i, line.Kept, step)
				}
				rows, last = rows+int(k[1]-k[0]), k[1]
			}
			if rows != *line.Rows || rows > budget {
				t.Fatalf("line %d: %d rows, and %v adds up to %d; the budget is %d", i, *line.Rows, line.Kept, rows, budget)
			}
		}
		left := int64(0)
		for _, line := range lines[len(lines)-heads:] {
			left += int64(*line.Rows)
		}
		if want := int64(step*heads) - left; *r.Memory.RowsEvicted != want {
			t.Errorf("%d rows dropped, by the trace %d", *r.Memory.RowsEvicted, want)
		}
	})
	path := filepath.Join(t.TempDir(), "trace")
	runAsJSON(t, "-p", cats, "-n", "2", "--trace", path)
	if lines := readTrace(t, path); len(lines) != 0 {
		t.Errorf("a full cache dropped rows: %v", lines)
	}
	for _, args := range [][]string{
		{"logits", "-m", tinyModel(t), "-p", cats}, {"perplexity", "-m", tinyModel(t), "-f", writeFile(t, "text", cats), "--stream"},
	} {
		path := filepath.Join(t.TempDir(), "trace")
		succeed(t, append(args, "--kv", "window", "--kv-budget", "32", "--prefill-block", "8", "--trace", path)...)
		if len(readTrace(t, path)) == 0 {
			t.Errorf("%s traces nothing", args[0])
		}
	}
}

func TestTraceThatFails(t *testing.T) {
	base := []string{"run", "-m", tinyModel(t), "-p", cats, "-n", "3", "--kv", "window", "--kv-budget", "32", "--trace"}
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none", "trace")} {
		args := append(slices.Clone(base), path)
		refused(t, infer(args...), exitFailure, path, args)
		refused(t, infer(append(args, "--json")...), exitFailure, path, args)
	}
	args := []string{"plan", "-m", tinyModel(t), "--trace", filepath.Join(dir, "trace")}
	refused(t, infer(args...), exitUsage, "--trace: nothing is read", args)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("failures left %v behind (%v)", left, err)
	}
	if runtime.GOOS != "linux" {
		return
	}
	r := infer(append(slices.Clone(base), "/dev/full")...) // can be opened, and not be written
	if r.code != exitFailure || !strings.HasPrefix(r.stderr, "infer: --trace: ") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("a full disk: exit %d, stderr %q", r.code, r.stderr)
	}
}

func TestPolicies(t *testing.T) {
	type policyJSON struct {
		Name       string   `json:"name"`
		Keeps      string   `json:"keeps"`
		Paper      string   `json:"paper"`
		Ahead      *bool    `json:"looks_ahead"`
		Parameters []string `json:"parameters"`
	}
	type policiesJSON struct {
		Policies  []policyJSON `json:"policies"`
		Attention []methodJSON `json:"attention"`
	}
	all := decode[policiesJSON](t, succeed(t, "policies", "--json"))
	list := all.Policies
	text := succeed(t, "policies")
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
		if p.Keeps == "" || p.Ahead == nil || p.Parameters == nil || (p.Name == kvcache.Full) != (p.Paper == "") {
			t.Errorf("%+v", p)
		}
		if p.Name != kvcache.Full && !slices.Contains(p.Parameters, "sinks") {
			t.Errorf("%s: parameters %v", p.Name, p.Parameters)
		}
		line := p.Keeps
		if p.Paper != "" {
			line += " (" + p.Paper + ")"
		}
		for _, want := range []string{"\n" + p.Name + " ", line, strings.Join(p.Parameters, " ")} {
			if !strings.Contains("\n"+text, want) {
				t.Errorf("printed %q without %q", text, want)
			}
		}
	}
	if !slices.Equal(names, kvcache.Names()) {
		t.Errorf("policies %v, want %v", names, kvcache.Names())
	}
	common := list[1].Parameters
	for _, p := range list[1:] {
		common = slices.DeleteFunc(slices.Clone(common), func(name string) bool { return !slices.Contains(p.Parameters, name) })
	}
	for _, name := range common {
		if !strings.Contains(text, "\n  "+name+"=") {
			t.Errorf("printed %q without a word on %s", text, name)
		}
	}
	checkMethods(t, all.Attention, text)
	for _, p := range list[1:] { // what is listed is understood
		for _, parameter := range p.Parameters {
			args := []string{"run", "-m", tinyModel(t), "-p", "x", "--kv", p.Name + ":" + parameter + "=no such value", "--kv-budget", "64"}
			refused(t, infer(args...), exitUsage, parameter+": ", args)
		}
	}
}

// methodJSON is a method of attention.
type methodJSON struct {
	Name       string   `json:"name"`
	Does       string   `json:"does"`
	Paper      string   `json:"paper"`
	Budget     *bool    `json:"budget"`
	Parameters []string `json:"parameters"`
}

// checkMethods checks what policies tells of the methods of attention.
func checkMethods(t *testing.T, list []methodJSON, text string) {
	t.Helper()
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
		if m.Does == "" || m.Paper == "" || m.Budget == nil || m.Parameters == nil {
			t.Errorf("%+v", m)
		}
		for _, want := range []string{"\n" + m.Name + " ", m.Does + " (" + m.Paper + ")", strings.Join(m.Parameters, " ")} {
			if !strings.Contains(text, want) {
				t.Errorf("printed %q without %q", text, want)
			}
		}
		for _, parameter := range m.Parameters {
			if !strings.Contains(text, "\n  "+parameter+"=") {
				t.Errorf("printed %q without a word on %s", text, parameter)
			}
			args := []string{"run", "-m", tinyModel(t), "-p", "x", "--attention", m.Name + ":" + parameter + "=no such value"}
			if *m.Budget {
				args = append(args, "--kv-budget", "4096")
			}
			refused(t, infer(args...), exitUsage, parameter+": ", args)
		}
	}
	if !slices.Equal(names, attention.Names()) {
		t.Errorf("methods of attention %v, want %v", names, attention.Names())
	}
}

func TestCompletionOfPolicies(t *testing.T) {
	for _, command := range []string{"run", "logits", "perplexity", "bench", "plan"} {
		r := infer("__completeNoDesc", command, "--kv", "")
		words, _, _ := strings.Cut(r.stdout, ":")
		if got := strings.Fields(words); r.code != exitSuccess || !slices.Equal(got, kvcache.Names()) {
			t.Errorf("%s --kv: exit %d, completed to %v, want %v", command, r.code, got, kvcache.Names())
		}
	}
}

// think can be added to every policy, and to none that drops rows.
func TestThinkOnTheCommandLine(t *testing.T) {
	for _, kv := range [][]string{{"full+think:ratio=0.5,recent=8,interval=8"}, {"h2o+think:recent=8,interval=8", "32"}, {"window:positions=text+think:recent=8,interval=8", "32"}} {
		flags := []string{"-p", cats, "-n", "20", "--ignore-eos", "--kv", kv[0]}
		if len(kv) > 1 {
			flags = append(flags, "--kv-budget", kv[1])
		}
		if r := runAsJSON(t, flags...); r.Memory.Policy != kv[0] || len(r.Tokens) != 20 {
			t.Errorf("policy %s, %d tokens", r.Memory.Policy, len(r.Tokens))
		}
	}
}

// Who reads on beyond what the model was trained for is told how positions stay within it, if they do not.
func TestHintAtPackedPositions(t *testing.T) {
	for kv, hint := range map[string]bool{"h2o": true, "h2o:positions=packed": false, "window": false} {
		r := infer("run", "-m", tinyModel(t), "-p", cats, "-n", "100", "--ignore-eos", "--kv", kv, "--kv-budget", "32")
		if r.code != exitSuccess || strings.Contains(r.stderr, "--kv h2o:positions=packed") != hint || !hint && r.stderr != "" {
			t.Errorf("%s: exit %d, stderr %q", kv, r.code, r.stderr)
		}
	}
}
