package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
)

// askJSON is what users of ask --json rely on, under these names.
type askJSON struct {
	Question      string   `json:"question"`
	Text          *string  `json:"text"`
	Tokens        []int32  `json:"tokens"`
	Episode       *int     `json:"episode"`
	Episodes      int      `json:"episodes"`
	Opened        *bool    `json:"opened"`
	Similarity    *float64 `json:"similarity"`
	Stop          string   `json:"stop"`
	Seed          *uint64  `json:"seed"`
	BeyondTrained *int     `json:"beyond_trained"`
	Timings       struct {
		Build  *float64 `json:"build_seconds"`
		Answer *float64 `json:"answer_seconds"`
	} `json:"timings"`
	Memory        memoryJSON `json:"memory"`
	InactiveBytes *int64     `json:"inactive_bytes"`
}

// askAnswers is what it prints of several questions.
type askAnswers struct {
	Answers []askJSON `json:"answers"`
}

func (r askJSON) complete() bool {
	return r.Question != "" && r.Text != nil && r.Tokens != nil && r.Episode != nil && r.Opened != nil && r.Similarity != nil && r.Stop != "" &&
		r.Seed != nil && r.BeyondTrained != nil && r.Timings.Build != nil && r.Timings.Answer != nil && r.Memory.complete() && r.InactiveBytes != nil
}

// said is a conversation of n utterances, as JSON lines.
func said(n int) string {
	var b strings.Builder
	for i := range n {
		topic := []string{"the boat", "a tomato", "my violin"}[i/8%3]
		fmt.Fprintf(&b, "{\"speaker\": %q, \"text\": \"%s was number %d\"}\n", []string{"Ann", "Ben"}[i%2], topic, i)
	}
	return b.String()
}

// askArgs is a command line about a history, for the model that is trained for 96 tokens.
func askArgs(t testing.TB, history string, more ...string) []string {
	t.Helper()
	return append([]string{"ask", "-m", tinyModel(t), "--history", history, "--kv-budget", "32", "--prefill-block", "96", "-n", "8"}, more...)
}

// askTiny runs a command line that works, and may warn of the text's length alone.
func askTiny(t testing.TB, args ...string) string {
	t.Helper()
	r := infer(args...)
	if r.code != exitSuccess || strings.Count(r.stderr, "\n") > 1 || r.stderr != "" && !strings.Contains(r.stderr, "longer than the 96") {
		t.Fatalf("infer %s: exit %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

func TestAskJSON(t *testing.T) {
	args := askArgs(t, writeFile(t, "h.jsonl", said(48)), "-p", "where is the boat?", "--json")
	r := infer(args...)
	if r.code != exitSuccess || !strings.Contains(r.stderr, "longer than the 96 that the model was trained for") {
		t.Fatalf("exit %d, stderr %q", r.code, r.stderr)
	}
	a := decode[askJSON](t, r.stdout)
	if !a.complete() {
		t.Fatalf("a field is missing: %s", r.stdout)
	}
	mem := a.Memory
	switch {
	case a.Question != "where is the boat?" || a.Episodes != 4 || *a.Episode < 0 || *a.Episode > 3 || *a.Opened || len(a.Tokens) > 8:
		t.Errorf("%+v", a)
	case *a.BeyondTrained != *mem.RowsSeen-trained:
		t.Errorf("%d rows seen, %d beyond trained", *mem.RowsSeen, *a.BeyondTrained)
	case *mem.RowsKept > 32+96 || *mem.RowsSeen < 48*5 || mem.Policy != "episodic" || *mem.Evictions == 0 || *mem.RowsEvicted == 0:
		t.Errorf("%s", r.stdout)
	case *a.Timings.Build <= 0 || *a.Timings.Answer <= 0 || *a.InactiveBytes <= 0:
		t.Errorf("%s", r.stdout)
	}
	for _, more := range []string{"--threads=1", "--seed=7", "--kv=episodic"} {
		again := decode[askJSON](t, askTiny(t, append(args, more)...))
		if !slices.Equal(again.Tokens, a.Tokens) || *again.Episode != *a.Episode || *again.Similarity != *a.Similarity {
			t.Errorf("%s: %v of episode %d, before %v of %d", more, again.Tokens, *again.Episode, a.Tokens, *a.Episode)
		}
	}
}

// The flags for episodes reach them.
func TestAskEpisodeFlags(t *testing.T) {
	history := writeFile(t, "h.jsonl", said(48))
	ask := func(more ...string) askJSON {
		return decode[askJSON](t, askTiny(t, askArgs(t, history, append(more, "-p", "where is the boat?", "--json")...)...))
	}
	cosine := ask()
	if a := ask("--episodes", "2"); a.Episodes != 2 {
		t.Errorf("--episodes 2: %d", a.Episodes)
	}
	if a := ask("--segment", "48"); a.Episodes != 1 {
		t.Errorf("all in one segment: %d episodes", a.Episodes)
	}
	if a := ask("--routing", "dot"); *a.Similarity == *cosine.Similarity || *a.Similarity > 1 {
		t.Errorf("--routing dot: similarity %v, by the cosine %v", *a.Similarity, *cosine.Similarity)
	}
	if a := ask("-n", "3"); len(a.Tokens) > 3 || !slices.Equal(a.Tokens, cosine.Tokens[:len(a.Tokens)]) {
		t.Errorf("-n 3: %v, of 8 %v", a.Tokens, cosine.Tokens)
	}
	if a, b := ask("--temp", "2", "--seed", "1"), ask("--temp", "2", "--seed", "2"); slices.Equal(a.Tokens, b.Tokens) || *a.Seed != 1 {
		t.Errorf("two seeds, the same answer %v", a.Tokens)
	}
	if a := ask("--kv-budget", "1024"); *a.Memory.Evictions != 0 && *a.Memory.RowsSeen < 1024 || *a.Memory.RowsKept <= *cosine.Memory.RowsKept {
		t.Errorf("a larger budget: %d rows kept of %d", *a.Memory.RowsKept, *a.Memory.RowsSeen)
	}
}

// An answer is printed alone, one in a line, and each as if it were the only one.
func TestAskSeveralQuestions(t *testing.T) {
	history := writeFile(t, "h.jsonl", said(48))
	questions := []string{"where is the boat?", "and the violin?", "where is the boat?"}
	var single []askJSON
	var args []string
	for _, q := range questions {
		single = append(single, decode[askJSON](t, askTiny(t, askArgs(t, history, "-p", q, "--json")...)))
		args = append(args, "-p", q)
	}
	all := decode[askAnswers](t, askTiny(t, askArgs(t, history, append(args, "--json")...)...)).Answers
	if len(all) != len(questions) {
		t.Fatalf("%d answers", len(all))
	}
	var text strings.Builder
	for i, a := range all {
		if !a.complete() || !slices.Equal(a.Tokens, single[i].Tokens) || *a.Text != *single[i].Text || *a.Episode != *single[i].Episode || a.Question != questions[i] {
			t.Errorf("question %d: %+v, alone %+v", i, a, single[i])
		}
		if built := *a.Timings.Build > 0; built != (i == 0) {
			t.Errorf("question %d: built for %v s", i, *a.Timings.Build)
		}
		text.WriteString(*a.Text + "\n")
	}
	if got := askTiny(t, askArgs(t, history, args...)...); got != text.String() {
		t.Errorf("printed %q, want %q", got, text.String())
	}
	r := infer(askArgs(t, history, append(args, "-v")...)...)
	if r.stdout != text.String() || strings.Count(r.stderr, "similarity") != len(questions) {
		t.Errorf("-v: printed %q, and %q", r.stdout, r.stderr)
	}
}

func TestAskReadsQuestionsAndHistories(t *testing.T) {
	history := writeFile(t, "h.jsonl", said(48))
	question := "the boat?"
	want := decode[askJSON](t, askTiny(t, askArgs(t, history, "-p", question, "--json")...))
	same := func(name, stdout string) {
		t.Helper()
		if got := decode[askJSON](t, stdout); !slices.Equal(got.Tokens, want.Tokens) || *got.Episode != *want.Episode {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	same("from a file", askTiny(t, askArgs(t, history, "-f", writeFile(t, "q", question+"\n"), "--json")...))
	same("escaped", askTiny(t, askArgs(t, history, "-e", "-p", `the\x20boat?`, "--json")...))
	r := inferWithInput(strings.NewReader(said(48)), askArgs(t, "-", "-p", question, "--json")...)
	same("standard input", r.stdout)
	var lines strings.Builder
	for line := range strings.Lines(said(48)) {
		u := map[string]string{}
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s: %s\n", u["speaker"], u["text"])
	}
	same("text", askTiny(t, askArgs(t, writeFile(t, "h.txt", lines.String()), "-p", question, "--json")...))
	several := "[" + strings.Repeat(`{"messages": [{"role": "a", "content": "b"}]},`, 2) + `{"turns": [` + strings.ReplaceAll(strings.TrimSpace(said(48)), "\n", ",") + "]}]"
	same("of several", askTiny(t, askArgs(t, writeFile(t, "h.json", several), "--conversation", "2", "-p", question, "--json")...))
	if named := decode[askJSON](t, askTiny(t, askArgs(t, history, "-p", question, "--asker", "Ben", "--answerer", "Ann", "--json")...)); *named.Memory.RowsSeen == *want.Memory.RowsSeen {
		t.Error("other names make no difference")
	}
}

// modified tells when each file of a folder was last written.
func modified(t testing.TB, dir string) map[string]time.Time {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]time.Time{}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		times[f.Name()] = info.ModTime()
	}
	return times
}

// What is in the folder is used, and stays as it is.
func TestAskFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "episodes")
	text := said(48)
	history := writeFile(t, "h.jsonl", text)
	args := askArgs(t, history, "-p", "where is the boat?", "-p", "my violin?", "--json")
	inMemory := decode[askAnswers](t, askTiny(t, args...)).Answers
	args = append(args, "--episodes-dir", dir)
	first := decode[askAnswers](t, askTiny(t, args...)).Answers
	files := modified(t, dir)
	trace := filepath.Join(t.TempDir(), "trace")
	second := decode[askAnswers](t, askTiny(t, append(args, "--trace", trace)...)).Answers
	for i := range inMemory {
		for _, a := range []askJSON{first[i], second[i]} {
			if !slices.Equal(a.Tokens, inMemory[i].Tokens) || *a.Episode != *inMemory[i].Episode || *a.InactiveBytes != 0 {
				t.Errorf("question %d: %+v, in memory %+v", i, a, inMemory[i])
			}
		}
		if *second[i].Timings.Build != 0 {
			t.Errorf("question %d: built for %v s", i, *second[i].Timings.Build)
		}
	}
	if after := modified(t, dir); len(files) != 5 || !maps.EqualFunc(files, after, time.Time.Equal) {
		t.Errorf("files before %v, after %v", files, after)
	}
	if dropped, err := os.ReadFile(trace); err != nil || len(dropped) != 0 { // as it would be if anything were read into a full cache
		t.Errorf("rows were dropped: %.100q, error %v", dropped, err)
	}

	// The conversation goes on.
	more := writeFile(t, "more.jsonl", text+`{"speaker": "Ann", "text": "the boat is gone"}`+"\n")
	longer := decode[askJSON](t, askTiny(t, askArgs(t, more, "-p", "where is the boat?", "--json", "--episodes-dir", dir)...))
	if *longer.Timings.Build != 0 || *longer.Memory.RowsSeen <= *first[0].Memory.RowsSeen {
		t.Errorf("built for %v s, %d rows seen, before %d", *longer.Timings.Build, *longer.Memory.RowsSeen, *first[0].Memory.RowsSeen)
	}

	for name, c := range map[string]struct {
		args []string
		say  string
	}{
		"another history": {askArgs(t, writeFile(t, "o.jsonl", strings.Replace(text, "the boat was number 2", "the ship was number 2", 1)), "-p", "x"),
			`it holds another conversation than`},
		"a shorter one":       {askArgs(t, writeFile(t, "s.jsonl", said(40)), "-p", "x"), "48 utterances"},
		"another budget":      {askArgs(t, history, "-p", "x", "--kv-budget", "40"), "saved with budgets"},
		"another row type":    {askArgs(t, history, "-p", "x", "--kv-type", "f32"), "saved with rows of type"},
		"more episodes":       {askArgs(t, history, "-p", "x", "--episodes", "5"), "5 episodes"},
		"another clustering":  {askArgs(t, history, "-p", "x", "--cluster-seed", "5"), "seed 5"},
		"another model":       {append(askArgs(t, history, "-p", "x"), "-m", variant(t, "other.gguf", func(md *weights.Metadata) { md.Set("general.name", "other") })), "another model"},
		"a file for a folder": {askArgs(t, history, "-p", "x", "--episodes-dir", history), history},
	} {
		if !slices.Contains(c.args, "--episodes-dir") {
			c.args = append(c.args, "--episodes-dir", dir)
		}
		r := infer(c.args...)
		refused(t, r, exitFailure, c.say, []string{name})
	}
	if after := modified(t, dir); !maps.EqualFunc(files, after, time.Time.Equal) {
		t.Errorf("after errors, files %v, before %v", after, files)
	}
	r := infer(append(askArgs(t, writeFile(t, "o.jsonl", strings.Replace(text, "the boat was number 2", "the ship was number 2", 1)), "-p", "x"), "--episodes-dir", dir)...)
	if !strings.Contains(r.stderr, "utterance 2 is") || !strings.Contains(r.stderr, "the boat was number 2") || !strings.Contains(r.stderr, "the ship was number 2") {
		t.Errorf("stderr %q", r.stderr)
	}
}

func TestAskOpensEpisodes(t *testing.T) {
	history := writeFile(t, "h.jsonl", said(48))
	args := askArgs(t, history, "-p", "boat", "-p", "violin", "--json", "--new-episode-below", "1")
	for i, a := range decode[askAnswers](t, askTiny(t, args...)).Answers {
		if !*a.Opened || *a.Episode != 4 || *a.Memory.RowsSeen > 96 {
			t.Errorf("question %d: %+v", i, a)
		}
	}
}

func TestAskWrongUsage(t *testing.T) {
	m, history := tinyModel(t), writeFile(t, "h.jsonl", said(8))
	ask := func(args ...string) []string {
		return append([]string{"ask", "-m", m, "--history", history, "-p", "x"}, args...)
	}
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"ask", "--history", history, "-p", "x"}, "no model given: -m FILE"},
		{[]string{"ask", "-m", m, "-p", "x"}, "no conversation given: --history FILE"},
		{[]string{"ask", "-m", m, "--history", history}, "no question given: -p TEXT or -f FILE"},
		{[]string{"ask", "-m", m, "--history", "-", "-f", "-"}, "both from standard input"},
		{ask("more"), `unexpected argument "more"`},
		{ask("-f", "y"), "--prompt and --file"},
		{ask("-p", " "), "the question is empty"},
		{ask("-n", "0"), "-n is 0"},
		{ask("--conversation", "-1"), "--conversation is -1"},
		{ask("--asker", ""), "--asker"},
		{ask("--answerer", " "), "--answerer"},
		{ask("--episodes", "0"), "--episodes is 0"},
		{ask("--segment", "0"), "--segment is 0"},
		{ask("--representatives", "0"), "--representatives is 0"},
		{ask("--new-episode-below", "2"), "--new-episode-below is 2"},
		{ask("--new-episode-below", "NaN"), "--new-episode-below is NaN"},
		{ask("--routing", "near"), "cosine, dot"},
		{ask("--cluster-seed", "-1"), "--cluster-seed"},
		{ask("--allocation", "fair"), "uniform, paper, code"},
		{ask("--alpha", "2"), "--alpha: --allocation uniform has no exponent"},
		{ask("--allocation", "paper", "--alpha", "-1"), "--alpha is -1"},
		{ask("--allocation", "code", "--alpha", "NaN"), "--alpha is NaN"},
		{ask("--allocation", "code", "--alpha", "Inf"), "--alpha is +Inf"},
		{ask("--profile", "p"), "--profile: --allocation uniform uses none"},
		{ask("--ctx", "100"), "--ctx"},
		{ask("--kv", "full"), "--kv full: a conversation is remembered in episodes"},
		{ask("--kv", "window"), "--kv window: a conversation is remembered in episodes"},
		{ask("--kv", "episodic:sing=1"), "sing"},
		{ask("--kv-budget", "0"), "no budget is given"},
		{ask("--kv-budget", "3"), "a budget of 3 rows"},
		{ask("--kv-type", "q2"), "--kv-type"},
		{ask("--prefill-block", "0"), "--prefill-block is 0"},
		{ask("--top-p", "2"), "top_p"},
		{ask("--logit-bias", "99999999+1"), "there is no token 99999999"},
	} {
		refused(t, infer(c.args...), exitUsage, c.say, c.args)
		args := append(c.args[:len(c.args):len(c.args)], "--json")
		refused(t, infer(args...), exitUsage, c.say, args)
	}
}

func TestAskFailures(t *testing.T) {
	m, history := tinyModel(t), writeFile(t, "h.jsonl", said(8))
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"ask", "-m", none, "--history", history, "-p", "x"}, "none"},
		{[]string{"ask", "-m", mute(t), "--history", history, "-p", "x"}, "no tokenizer"},
		{[]string{"ask", "-m", m, "--history", none, "-p", "x"}, "none"},
		{[]string{"ask", "-m", m, "--history", writeFile(t, "empty", ""), "-p", "x"}, "nobody says anything in it"},
		{[]string{"ask", "-m", m, "--history", history, "--conversation", "1", "-p", "x"}, "there is no conversation 1"},
		{[]string{"ask", "-m", m, "--history", history, "-f", none}, "none"},
		{[]string{"ask", "-m", m, "--history", history, "-f", writeFile(t, "q", " \n")}, "the question is empty"},
		{[]string{"ask", "-m", m, "--history", history, "-p", "x", "--trace", filepath.Join(none, "trace")}, "trace"},
	} {
		refused(t, infer(c.args...), exitFailure, c.say, c.args)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("failures left %v behind (%v)", left, err)
	}
}

// The bars are on a terminal alone, one after the other, and leave no line.
func TestAskProgress(t *testing.T) {
	var out strings.Builder
	q := &questions{askCommand: &askCommand{app: &app{stderr: &out, terminal: true}}}
	for i := range 3 {
		q.progress(mneme.BuildProgress{Episode: 0, Episodes: 0, Done: i + 1, Total: 3})
		q.bar.appear = time.Time{}
	}
	for e := range 2 {
		for i := range 3 {
			q.progress(mneme.BuildProgress{Episode: e + 1, Episodes: 2, Done: 10 * (i + 1), Total: 30})
			q.bar.appear = time.Time{}
		}
	}
	q.endBar()
	if s := out.String(); !strings.Contains(s, "comparing segments") || !strings.Contains(s, "building episodes") || strings.Contains(s, "\n") ||
		strings.LastIndex(s, "comparing") > strings.Index(s, "building") || !strings.Contains(s, "/60") {
		t.Errorf("printed %q", s)
	}
}

func TestInterruptWhileAsking(t *testing.T) {
	needSignals(t)
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"ask":     {"ask", "-m", tinyModel(t), "--history", "-", "-p", "x", "--json", "--segment", "1000"},
		"profile": {"profile", "-m", tinyModel(t), "-f", "-", "--tokens", "1000000", "--window", "400", "--out", filepath.Join(dir, "out"), "--json"},
	} {
		cmd := program(t, args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(in, said(40000)); err != nil {
			t.Fatal(err)
		}
		in.Close()
		time.Sleep(300 * time.Millisecond)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := ends(t, cmd); code != exitFailure || stderr.String() != "infer: interrupted\n" || stdout.Len() != 0 {
			t.Errorf("%s: exit %d, stderr %q, stdout %.50q", name, code, stderr.String(), stdout.String())
		}
	}
	if left, err := os.ReadDir(dir); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return e.Name() == "out" }) {
		t.Errorf("left %v, error %v", left, err)
	}
}

// A conversation of LoCoMo keeps to its budget, whatever a model of this size makes of it.
func TestAskLoCoMo(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a long conversation")
	}
	var conversations []struct {
		Conversation map[string]json.RawMessage `json:"conversation"`
	}
	data, err := os.ReadFile(testdata.Shared(t, "convqa/locomo10.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &conversations); err != nil {
		t.Fatal(err)
	}
	first := map[string]any{"conversation": map[string]any{ // as much of it as there is time for
		"session_1": conversations[0].Conversation["session_1"], "session_1_date_time": conversations[0].Conversation["session_1_date_time"],
		"session_2": conversations[0].Conversation["session_2"], "session_2_date_time": conversations[0].Conversation["session_2_date_time"],
	}}
	short, err := json.Marshal([]any{first})
	if err != nil {
		t.Fatal(err)
	}
	const budget, block = 128, 256
	stdout := infer("ask", "-m", testdata.Shared(t, "models/stories260K.gguf"), "--history", writeFile(t, "locomo.json", string(short)), "--conversation", "0",
		"--kv-budget", fmt.Sprint(budget), "--prefill-block", fmt.Sprint(block), "-n", "20", "--json",
		"-p", "When did Caroline go to the LGBTQ support group?", "-p", "What did Melanie paint?").stdout
	for i, a := range decode[askAnswers](t, stdout).Answers {
		if a.Episodes < 1 || a.Episodes > 4 || *a.Episode >= a.Episodes || *a.Similarity < -1 || *a.Similarity > 1 {
			t.Errorf("question %d: %+v", i, a)
		}
		mem := a.Memory
		if *mem.RowsKept > budget+block || *mem.RowsKept < budget || *mem.RowsSeen <= budget+block || *mem.Evictions == 0 {
			t.Errorf("question %d: %d rows kept of %d, %d evictions", i, *mem.RowsKept, *mem.RowsSeen, *mem.Evictions)
		}
	}
}
