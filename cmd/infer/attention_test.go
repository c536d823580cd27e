package main

import (
	"encoding/csv"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
)

// opening has queries open 64 rows at a time: 16 first ones, 16 to 31 newest ones, and one or two blocks of 16.
var opening = []string{"--attention", "retrieval:block=16,local=16", "--kv-budget", "64"}

// What opens some of the rows tells how much of the attention these hold; what opens all says nothing, or 1.
func TestRunTellsTheAttentionMass(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("the cat sat ", 30))
	args := []string{"-m", longModel(t), "-n", "10", "--ignore-eos", "--temp", "0"}
	r := runAsJSON(t, slices.Concat(args, opening, []string{"-p", long})...)
	if len(r.PromptTokens) < 100 || len(r.Tokens) != 10 || r.Mass == nil || !(*r.Mass > 0 && *r.Mass < 1) {
		t.Errorf("%d tokens of prompt, %d written, attention mass %v", len(r.PromptTokens), len(r.Tokens), r.Mass)
	}
	if r := runAsJSON(t, slices.Concat(args, opening, []string{"-p", "the cat"})...); r.Mass == nil || *r.Mass != 1 {
		t.Errorf("a text within the budget: attention mass %v", r.Mass)
	}
	for _, method := range []string{"", "full", "chunked:chunk=16"} {
		if r := runAsJSON(t, append(args, "-p", long, "--attention", method)...); r.Mass != nil {
			t.Errorf("--attention %q: attention mass %v", method, *r.Mass)
		}
	}
}

func TestPerplexityTellsTheAttentionMass(t *testing.T) {
	args := append([]string{"perplexity", "-m", longModel(t), "-f", writeFile(t, "text", strings.Repeat("the cat sat on the mat. ", 20)), "--stream"}, opening...)
	r := decode[perplexityJSON](t, succeed(t, append(args, "--part", "100", "--json")...))
	if len(r.Parts) < 3 || !(r.Mass > 0 && r.Mass < 1) {
		t.Fatalf("%d parts, attention mass %g", len(r.Parts), r.Mass)
	}
	mean := 0.
	for i, p := range r.Parts {
		mean += p.Mass / float64(len(r.Parts))
		if p.Speed <= 0 || !(p.Mass > 0 && p.Mass < 1) {
			t.Errorf("part %d: %+v", i, p)
		}
	}
	if diff := mean - r.Mass; diff > 1e-12 || diff < -1e-12 {
		t.Errorf("attention mass %g, the mean of the parts' is %g", r.Mass, mean)
	}
	lines := strings.Split(strings.TrimSuffix(succeed(t, append(args, "--part", "0")...), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "perplexity ") || !strings.HasPrefix(lines[1], "attention mass ") {
		t.Errorf("printed %q", lines)
	}
}

func TestBenchTellsTheAttentionMass(t *testing.T) {
	args := benchArgs(t, append(opening, "--prompt", "40", "--gen", "2", "--depth", "0,600", "--repeat", "1")...)
	r := decode[benchJSON](t, succeed(t, append(args, "--json")...))
	if r.Method != opening[1] || r.KVBudget == nil || *r.KVBudget != 64 || len(r.Rows) != 4 {
		t.Fatalf("%+v", r)
	}
	for i, row := range r.Rows {
		if deep := i >= 2; deep != (row.Mass < 1) || row.Mass <= 0 || row.Mass > 1 {
			t.Errorf("%s: attention mass %g", row.Test, row.Mass)
		}
	}
	out := succeed(t, args...)
	for _, want := range []string{opening[1] + " with 64 rows", "| of roofline | attention mass |\n|---|---:|---:|---:|---:|\n| pp40 | ", " 100.0% |\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("printed %q without %q", out, want)
		}
	}
	table, err := csv.NewReader(strings.NewReader(succeed(t, append(args, "--csv")...))).ReadAll()
	if err != nil || len(table) != 5 {
		t.Fatalf("%q, %v", table, err)
	}
	method, at := slices.Index(table[0], "attention"), slices.Index(table[0], "attention_mass")
	if method < 0 || at < 0 || table[4][method] != opening[1] {
		t.Fatalf("%q", table)
	}
	if mass, err := strconv.ParseFloat(table[4][at], 64); err != nil || !(mass > 0 && mass < 1) {
		t.Errorf("attention mass %q", table[4][at])
	}
}

// A model whose layers differ says so.
func TestBenchTellsTheModelsAttention(t *testing.T) {
	path := mnemeModel(t)
	for flag, want := range map[string]string{"": "window/full", "full": "full", "chunked:chunk=7,layers=lg": "chunked:chunk=7,layers=lg"} {
		r := decode[benchJSON](t, succeed(t, "bench", "-m", path, "--read-mib", "1", "-p", "9", "-n", "0", "-r", "1", "--attention", flag, "--json"))
		if r.Method != want {
			t.Errorf("--attention %q: %q, want %q", flag, r.Method, want)
		}
	}
}

// longModel writes the test model as one that was trained for longer texts.
func longModel(t *testing.T) string {
	return variant(t, "long.gguf", func(md *weights.Metadata) { md.Set("llama.context_length", uint32(4096)) })
}

// mnemeModel writes a random model of architecture mneme.
func mnemeModel(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mneme.gguf")
	succeed(t, "synth", "mneme-tiny", path, "--type", "f32")
	return path
}

// Beside a learned memory the mass cannot be told: all else is.
func TestNoAttentionMassBesideAMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmm.gguf")
	succeed(t, "synth", "mneme-lmm-tiny", path, "--type", "f32")
	bench := append([]string{"bench", "-m", path, "--read-mib", "1", "-p", "9", "-n", "2", "-r", "1"}, opening...)
	out := succeed(t, bench...)
	if !strings.Contains(out, "| pp9 |") || strings.Contains(out, "attention mass") {
		t.Errorf("printed %q", out)
	}
	if out := succeed(t, append(bench, "--json")...); strings.Contains(out, "attention_mass") {
		t.Errorf("printed %q", out)
	}
	table, err := csv.NewReader(strings.NewReader(succeed(t, append(bench, "--csv")...))).ReadAll()
	if err != nil || len(table) != 3 || table[1][slices.Index(table[0], "attention_mass")] != "" {
		t.Errorf("%q, %v", table, err)
	}
	text := writeFile(t, "text", strings.Repeat("the cat sat on the mat. ", 20))
	perplexity := append([]string{"perplexity", "-m", path, "-f", text, "--stream", "--part", "100"}, opening...)
	for _, flag := range []string{"--json", "--json=false"} {
		if out := succeed(t, append(perplexity, flag)...); !strings.Contains(out, "perplexity") || strings.Contains(out, "attention") {
			t.Errorf("printed %q", out)
		}
	}
	args := append([]string{"-m", path, "-n", "3", "--ignore-eos", "--temp", "0", "-p", strings.Repeat("the cat sat ", 20)}, opening...)
	if r := runAsJSON(t, args...); len(r.Tokens) != 3 || r.Mass != nil {
		t.Errorf("%d tokens written, attention mass %v", len(r.Tokens), r.Mass)
	}
}
