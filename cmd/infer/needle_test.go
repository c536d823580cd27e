package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mneme-lm/mneme/bench"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/convert"
)

// speaker writes the test model with the words of the small language.
func speaker(t testing.TB) string {
	t.Helper()
	return variant(t, "words.gguf", func(md *weights.Metadata) {
		for _, key := range md.Keys() {
			if strings.HasPrefix(key, "tokenizer.") {
				md.Delete(key)
			}
		}
		roles := convert.WordRoles{Padding: tales.Pad, Begin: tales.Begin, Landmark: tales.Landmark, Unknown: tales.Unknown, End: tales.End}
		if err := convert.SetWords(md, tales.Words(), roles); err != nil {
			t.Fatal(err)
		}
	})
}

// documents are texts for the test model, each with the answer that it gives, but for the last of every three.
func documents(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		tokens := []int32{1}
		for j := range 20 + i {
			tokens = append(tokens, int32(3+(i*i*7+j*j*13)%500))
		}
		answer := decode[runJSON](t, succeed(t, "run", "-m", tinyModel(t), "--tokens", strings.Trim(strings.ReplaceAll(fmt.Sprint(tokens), " ", ","), "[]"), "-n", "2", "--temp", "0", "--ignore-eos", "--json")).Tokens
		if i%3 == 2 {
			answer[0]++
		}
		last := len(tokens) - 2
		line, err := json.Marshal(map[string]any{"length": 64, "depth": float64(i%2) / 2, "type": "x", "tokens": tokens[:last], "question": tokens[last:], "answer": answer})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", line)
	}
	return writeFile(t, "documents.jsonl", b.String())
}

func TestNeedle(t *testing.T) {
	file := documents(t, 9)
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, more := range [][]string{nil, {"--parallel", "3"}, {"--out", dir}, {"--out", dir}} {
		args := append([]string{"needle", "-m", tinyModel(t), "--documents", file, "--json"}, more...)
		r := decode[needleResult](t, succeed(t, args...))
		if len(r.Cells) != 2 || r.Cells[0].Length != 64 || r.Cells[1].Depth != .5 || r.Cells[0].NeedleCount != (bench.NeedleCount{Trials: 5, Correct: 3}) ||
			r.Cells[1].NeedleCount != (bench.NeedleCount{Trials: 4, Correct: 3}) || r.Types["x"].Trials != 9 || r.Effective != 0 || r.Timings == nil || r.Failures == nil {
			t.Fatalf("%v: %+v", more, r)
		}
	}
	if r := decode[needleResult](t, succeed(t, "needle", "-m", tinyModel(t), "--documents", file, "--json", "--out", dir, "--pass", "0.6")); r.Effective != 64 || r.Timings.Resumed != 9 {
		t.Errorf("%+v", r)
	}
	kept, err := os.ReadFile(filepath.Join(dir, needleResultFile))
	if err != nil {
		t.Fatal(err)
	}
	if r := decode[needleResult](t, string(kept)); r.Effective != 64 || r.Timings != nil || r.Settings["--kv"] != "full" || len(r.Cells) != 2 {
		t.Errorf("kept %s", kept)
	}
	out := succeed(t, "needle", "-m", tinyModel(t), "--documents", file)
	for _, want := range []string{"| tokens | at 0% | at 50% |\n", "| 64 | 60% of 5 | 75% of 4 |\n", "effective context 0"} {
		if !strings.Contains(out, want) {
			t.Errorf("printed %q, want %q", out, want)
		}
	}
	r := infer("needle", "-m", tinyModel(t), "--documents", file, "--out", dir, "--kv", "window", "--kv-budget", "30")
	if r.code != exitFailure || !strings.Contains(r.stderr, "--kv was full, and is window; --kv-budget was 0, and is 30") {
		t.Errorf("exit %d, %q", r.code, r.stderr)
	}
	if r := infer("needle", "-m", tinyModel(t), "--documents", file, "--ctx", "1000000000000"); r.code != exitSuccess || !strings.Contains(r.stderr, "9 questions about 9 texts of 64 tokens count as not answered") || !strings.Contains(r.stderr, "not enough memory") || !strings.Contains(r.stdout, "| 64 | 0% of 5") {
		t.Errorf("exit %d, %q, %q", r.code, r.stderr, r.stdout)
	}
}

func TestNeedleOfTales(t *testing.T) {
	m := speaker(t)
	r := decode[needleResult](t, succeed(t, "needle", "-m", m, "--lengths", "90,64", "--depths", "0.5", "--trials", "8", "--facts", "1", "--kv", "snapkv", "--kv-budget", "40", "--prefill-block", "16", "--json"))
	if len(r.Cells) != 2 || r.Cells[0].Length != 64 || r.Cells[1].Trials != 8 || len(r.Cells[0].Types) != tales.Kinds || r.Cells[0].Memory.RowsEvicted == 0 || r.Cells[0].Memory.RowsKept > 40 {
		t.Errorf("%+v", r)
	}
	if r := infer("needle", "-m", m, "--lengths", "16"); r.code != exitFailure || !strings.Contains(r.stderr, "16 tokens with 5 facts") {
		t.Errorf("exit %d, %q", r.code, r.stderr)
	}
}

func TestNeedleInText(t *testing.T) {
	var text strings.Builder
	for i := range 90 {
		fmt.Fprintf(&text, "The cat number %d sat on a mat. ", i)
	}
	file := writeFile(t, "text", text.String())
	args := []string{"needle", "-m", tinyModel(t), "--haystack", file, "--lengths", "900", "--depths", "0.5", "--trials", "4", "--needle", "number,keys", "--questions", "2", "--max-tokens", "3"}
	r := infer(append(args, "--json")...)
	j := decode[needleResult](t, r.stdout)
	if r.code != exitSuccess || !strings.Contains(r.stderr, "tokens longer than the 96") || len(j.Cells) != 1 || j.Cells[0].Trials != 8 || j.Types["keys"].Trials != 4 || j.Settings["--needle"] != "number,keys" {
		t.Errorf("exit %d, %q, %+v", r.code, r.stderr, j)
	}
	args[4] = "-"
	if in := inferWithInput(strings.NewReader(text.String()), append(args, "--json")...); !reflect.DeepEqual(decode[needleResult](t, in.stdout).Cells, j.Cells) || in.code != exitSuccess {
		t.Errorf("from standard input: %+v", in)
	}
}

func TestNeedleUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "no model",
		"-m x --pass 0":                      "--pass is 0",
		"-m x --parallel -1":                 "--parallel is -1",
		"-m x --lengths 0":                   "--lengths: 0 tokens",
		"-m x --depths 1.5":                  "--depths: 1.5",
		"-m x --trials 0":                    "--trials is 0",
		"-m x --facts 0":                     "--facts is 0",
		"-m x --facts 41":                    "--facts is 41, want 1 to 40",
		"-m x --lengths 3000000000":          "--lengths: 3000000000 tokens",
		"-m x --trials 1000000000":           "--trials is 1000000000",
		"-m x --haystack y --max-tokens 300": "--max-tokens is 300, and --lengths has a text of 256",
		"-m x --documents y --seed":          "needs an argument",
		"-m x --documents y --facts 3":       "--documents and --facts",
		"-m x --kv h2o":                      "no budget",
		"-m x --trace y":                     "--trace",
		"-m x --parallel 2 --kv-store y":     "--kv-store",
		"-m x --lengths a":                   "invalid argument",
		"-m x --needle keys":                 "--haystack FILE",
		"-m x --haystack y --needle pin":     `no kind "pin" (there is: number, word`,
		"-m x --haystack y --questions 0":    "--questions is 0",
		"-m x --haystack y --facts 99":       "--facts is 99",
		"-m x --haystack y --max-tokens -1":  "--max-tokens is -1",
		"-m x --haystack y --documents z":    "--documents and --haystack",
	} {
		if r := infer(append([]string{"needle"}, strings.Fields(args)...)...); r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, %q, want %q", args, r.code, r.stderr, want)
		}
	}
	for args, want := range map[string]string{
		"needle -m /none":                                            "/none",
		"needle -m " + tinyModel(t):                                  "another language",
		"needle -m " + mute(t):                                       "no tokenizer",
		"needle -m " + tinyModel(t) + " --documents /none":           "/none",
		"needle -m " + tinyModel(t) + " --documents " + tinyModel(t): "line 1",
		"needle -m " + tinyModel(t) + " --out " + tinyModel(t) + "/x --documents " + documents(t, 1): "tiny.gguf",
	} {
		if r := infer(strings.Fields(args)...); r.code != exitFailure || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q, want %q", args, r.code, r.stderr, want)
		}
	}
}

func TestCounted(t *testing.T) {
	if one, two := counted(1, "text"), counted(2, "text"); one != "1 text" || two != "2 texts" {
		t.Errorf("%q, %q", one, two)
	}
}

// No more texts are read at a time than there are.
func TestNeedleAtATime(t *testing.T) {
	c := &needleCommand{parallel: 1 << 40}
	if n := c.atATime(nil, &bench.Tales{}, nil); n != 0 {
		t.Errorf("%d of no texts", n)
	}
}

// A process that is killed again and again comes to the result of one that is left alone.
func TestNeedleKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen processes")
	}
	m := speaker(t)
	args := []string{"needle", "-m", m, "--lengths", "64,96", "--depths", "0,1", "--trials", "40", "--facts", "1", "--kv", "h2o", "--kv-budget", "48", "--out"}
	alone, killed := t.TempDir(), t.TempDir()
	want := succeed(t, append(args, alone)...)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(killed, needleLogFile))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	var out bytes.Buffer
	for kill := range 6 {
		cmd := program(t, append(args, killed)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until := size() + int64(1+kill*kill*150)
		for i := 0; size() < until && i < 20000; i++ { // it may be through with all there is
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	cmd := program(t, append(args, killed)...)
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if code := ends(t, cmd); code != exitSuccess {
		t.Fatalf("exit %d", code)
	}
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	a, errA := os.ReadFile(filepath.Join(alone, needleResultFile))
	b, errB := os.ReadFile(filepath.Join(killed, needleResultFile))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%s\n%s\n%v %v", a, b, errA, errB)
	}
}
