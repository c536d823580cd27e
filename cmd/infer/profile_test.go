package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/kvcache/episodic"
	"github.com/mneme-lm/mneme/weights"
)

// ownModel is a copy of the test model, for files beside it.
func ownModel(t testing.TB) string {
	t.Helper()
	return variant(t, "own.gguf", func(*weights.Metadata) {})
}

func TestProfile(t *testing.T) {
	m := ownModel(t)
	text := writeFile(t, "text", strings.Repeat("the cat sat on the mat and ate a tomato. ", 50))
	stdout := succeed(t, "profile", "-m", m, "-f", text, "--json")
	data, err := os.ReadFile(m + ".sensitivity.json")
	if err != nil {
		t.Fatal(err)
	}
	if stdout != string(data) {
		t.Errorf("printed %q, wrote %q", stdout, data)
	}
	p, err := episodic.UnmarshalProfile(data)
	if err != nil {
		t.Fatal(err)
	}
	model := openModel(t, m)
	print, err := model.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckModel(print, model.Config().Layers); err != nil {
		t.Error(err)
	}
	// The model is trained for 96 tokens: four blocks of 24, and less than one sink.
	if want := (episodic.BlockMask{Window: 24, Sinks: 0, Overlap: 0.5}); p.Tokens != trained || p.Mask != want || p.Window != episodic.PerToken {
		t.Errorf("%+v", p)
	}
	if again := succeed(t, "profile", "-m", m, "-f", text, "--json", "--threads", "1"); again != stdout {
		t.Errorf("again: %q, before %q", again, stdout)
	}

	out := filepath.Join(t.TempDir(), "elsewhere")
	r := infer("profile", "-m", m, "-f", text, "--tokens", "200", "--window", "50", "--sinks", "3", "--overlap", "0.2", "--similarity", "released", "--out", out, "--kv-budget", "100")
	if r.code != exitSuccess || !strings.Contains(r.stderr, "104 tokens longer than the 96") {
		t.Fatalf("exit %d, stderr %q", r.code, r.stderr)
	}
	if data, err = os.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	q, err := episodic.UnmarshalProfile(data)
	if err != nil {
		t.Fatal(err)
	}
	if want := (episodic.BlockMask{Window: 50, Sinks: 3, Overlap: 0.2}); q.Tokens != 200 || q.Mask != want || q.Window != episodic.ReleasedWindow || slices.Equal(q.Sigma, p.Sigma) {
		t.Errorf("%+v", q)
	}
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if len(lines) != 2+len(q.Sigma) {
		t.Fatalf("printed %q", r.stdout)
	}
	sum := [2]int{}
	for l, line := range lines[2:] {
		row := strings.Fields(line)
		if len(row) != 4 || row[1] != sprint4(q.Sigma[l]) {
			t.Fatalf("layer %d: %q", l, line)
		}
		sum[0] += atoi(t, row[2])
		sum[1] += atoi(t, row[3])
	}
	if want := 100 * len(q.Sigma); sum[0] != want || sum[1] != want {
		t.Errorf("%v rows are shared out, want %d: %q", sum, want, r.stdout)
	}
	if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
		t.Errorf("left %v, error %v", entries, err)
	}
}

// Layers get what the profile says, and ask sees whose profile it is.
func TestAskByProfile(t *testing.T) {
	m := ownModel(t)
	text := writeFile(t, "text", strings.Repeat("the cat sat on the mat and ate a tomato. ", 50))
	history := writeFile(t, "h.jsonl", said(48))
	ask := func(more ...string) []string {
		return append(askArgs(t, history, "-p", "the boat?", "--json", "-m", m), more...)
	}
	for _, rule := range []string{"paper", "code"} {
		refused(t, infer(ask("--allocation", rule)...), exitFailure, "infer profile -m "+m+" -f TEXT", []string{rule})
	}
	succeed(t, "profile", "-m", m, "-f", text)
	traced := func(more ...string) map[int]int {
		trace := filepath.Join(t.TempDir(), "trace")
		a := decode[askJSON](t, askTiny(t, ask(append(more, "--trace", trace, "--kv-budget", "64")...)...))
		if *a.Memory.RowsKept > 64+96 {
			t.Errorf("%v: %d rows kept", more, *a.Memory.RowsKept)
		}
		return rowsByLayer(t, trace)
	}
	uniform, paper, code, sharp := traced(), traced("--allocation", "paper"), traced("--allocation", "code"), traced("--allocation", "paper", "--alpha", "4")
	profile, err := readProfile(profilePath(m), m)
	if err != nil {
		t.Fatal(err)
	}
	heads := openModel(t, m).Config().KVHeads
	for name, c := range map[string]struct {
		got  map[int]int
		rule episodic.Allocation
	}{"uniform": {uniform, episodic.PaperAllocation(0)}, "paper": {paper, withAlpha("paper", 2)}, "code": {code, withAlpha("code", 1.1)}, "sharp": {sharp, withAlpha("paper", 4)}} {
		want, err := episodic.Allocate(profile.Sigma, 64, c.rule)
		if err != nil {
			t.Fatal(err)
		}
		for l, rows := range want {
			if c.got[l] != rows*heads {
				t.Errorf("%s: layer %d keeps %d rows, want %d", name, l, c.got[l], rows*heads)
			}
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "p.json")
	if err := os.Rename(profilePath(m), elsewhere); err != nil {
		t.Fatal(err)
	}
	if got := traced("--allocation", "paper", "--profile", elsewhere); got[1] != paper[1] {
		t.Errorf("from another file: %v, beside the model %v", got, paper)
	}

	whole, err := os.ReadFile(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	other := variant(t, "other.gguf", func(md *weights.Metadata) { md.Set("general.name", "other") })
	for name, c := range map[string]struct{ profile, say string }{
		"cut off":   {string(whole[:len(whole)/2]), "profile"},
		"noise":     {"noise\n\x1b[31m", "profile"},
		"version":   {strings.Replace(string(whole), `"version": 1`, `"version": 9`, 1), "version 9"},
		"no number": {strings.Replace(string(whole), `"tokens": 96`, `"tokens": 0`, 1), "0 tokens"},
	} {
		path := writeFile(t, "p.json", c.profile)
		refused(t, infer(ask("--allocation", "paper", "--profile", path)...), exitFailure, c.say, []string{name})
	}
	refused(t, infer(ask("--allocation", "paper", "--profile", elsewhere, "-m", other)...), exitFailure, "the profile is of model", []string{"another model"})
	refused(t, infer(ask("--allocation", "paper", "--profile", t.TempDir())...), exitFailure, "--allocation paper", []string{"a folder"})
}

func TestProfileWrongUsage(t *testing.T) {
	m, text := tinyModel(t), writeFile(t, "text", "the cat")
	profile := func(args ...string) []string { return append([]string{"profile", "-m", m, "-f", text}, args...) }
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"profile", "-f", text}, "no model given"},
		{[]string{"profile", "-m", m}, "no text given"},
		{profile("more"), "unexpected argument"},
		{profile("--tokens", "-1"), "--tokens is -1"},
		{profile("--window", "-1"), "--window is -1"},
		{profile("--sinks", "-2"), "--sinks is -2"},
		{profile("--overlap", "1.5"), "--overlap is 1.5"},
		{profile("--overlap", "NaN"), "--overlap is NaN"},
		{profile("--similarity", "word"), "token, released"},
		{profile("--kv-budget", "0"), "--kv-budget is 0"},
		{profile("--out", m), "it is the model itself"},
	} {
		refused(t, infer(c.args...), exitUsage, c.say, c.args)
	}
}

func TestProfileFailures(t *testing.T) {
	m := ownModel(t)
	text := writeFile(t, "text", strings.Repeat("the cat sat. ", 50))
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"profile", "-m", m + "none", "-f", text}, "none"},
		{[]string{"profile", "-m", mute(t), "-f", text}, "no tokenizer"},
		{[]string{"profile", "-m", m, "-f", m + "none"}, "none"},
		{[]string{"profile", "-m", m, "-f", writeFile(t, "empty", "")}, "nothing is forgotten within a block"},
		{[]string{"profile", "-m", m, "-f", text, "--window", "96"}, "nothing is forgotten within a block of 96"},
		{[]string{"profile", "-m", m, "-f", text, "--out", filepath.Join(m+"none", "out")}, "none"},
		{[]string{"profile", "-m", m, "-f", text, "--out", filepath.Dir(m)}, "not a regular file"},
	} {
		refused(t, infer(c.args...), exitFailure, c.say, c.args)
	}
	if left, err := os.ReadDir(filepath.Dir(m)); err != nil || len(left) != 1 {
		t.Errorf("failures left %v behind, error %v", left, err)
	}
	r := infer("profile", "-m", m, "-f", text, "--tokens", "100000", "--window", "40")
	if r.code != exitSuccess || !strings.Contains(r.stderr, "of the 100000 tokens asked for") {
		t.Errorf("exit %d, stderr %q", r.code, r.stderr)
	}
}

func sprint4(x float64) string { return strconv.FormatFloat(x, 'f', 4, 64) }

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// withAlpha is ask's allocation with an exponent.
func withAlpha(name string, alpha float64) episodic.Allocation {
	rule := allocation(name)
	rule.Alpha = alpha
	return rule
}

// rowsByLayer is how many rows each layer was left with, all heads together, when rows of the first episode were last dropped.
func rowsByLayer(t testing.TB, trace string) map[int]int {
	t.Helper()
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	rows, step := map[int]int{}, -1
	for line := range strings.Lines(string(data)) {
		var e mneme.Eviction
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Step < step { // of the next episode
			break
		}
		if e.Step > step {
			clear(rows)
			step = e.Step
		}
		rows[e.Layer] += e.Rows
	}
	return rows
}
