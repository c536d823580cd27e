package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/mneme-lm/mneme/kvcache"
)

// refused checks an execution that must fail with one clean line on stderr and nothing on stdout.
func refused(t *testing.T, r result, code int, say string, args []string) {
	t.Helper()
	name := strings.Join(args, " ")
	if r.code != code || r.stdout != "" {
		t.Errorf("infer %q: exit %d, stdout %q, stderr %q; want exit %d", name, r.code, r.stdout, r.stderr, code)
	}
	line, ok := strings.CutSuffix(r.stderr, "\n")
	if !ok || strings.IndexFunc(line, unicode.IsControl) >= 0 || !strings.HasPrefix(line, "infer: ") {
		t.Errorf("infer %q: stderr %q, want one line", name, r.stderr)
	}
	if !strings.Contains(line, say) {
		t.Errorf("infer %q: stderr %q, want %q in it", name, line, say)
	}
}

func TestWrongUsage(t *testing.T) {
	m := tinyModel(t)
	text := writeFile(t, "text", strings.Repeat("the cat ", 50))
	dropping := strings.Join(kvcache.Names()[1:], ", ")
	run := func(args ...string) []string { return append([]string{"run", "-m", m, "-p", "x"}, args...) }
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"sing"}, `unknown command "sing"`},
		{[]string{"tokenise"}, "Did you mean this? tokenize"},
		{[]string{"--sing"}, "unknown flag: --sing"},
		{[]string{"run", "--sing\nsong"}, "unknown flag: --sing song"},
		{[]string{"help", "sing"}, `"sing"`},
		{[]string{"run", "-m", m}, "no prompt given"},
		{[]string{"run", "-p", "x"}, "no model given: -m FILE"},
		{[]string{"run", "-m", "", "-p", "x"}, "no model given: -m FILE"},
		{run("more"), `unexpected argument "more"`},
		{run("-f", "y"), "--prompt and --file"},
		{run("--tokens", "1"), "--prompt and --tokens"},
		{run("-n"), "needs an argument"},
		{run("-n", "many"), `invalid argument "many" for --predict`},
		{run("-n", "-2"), "-n is -2"},
		{run("-n", "99999999999999999999"), "out of range"},
		{run("--stop", ""), "--stop"},
		{run("--top-k", "-1"), "top_k is -1"},
		{run("--top-p", "1.5"), "top_p"},
		{run("--top-p", "NaN"), "top_p"},
		{run("--min-p", "-0.1"), "min_p"},
		{run("--typical", "2"), "typ_p"},
		{run("--temp", "NaN"), "temperature"},
		{run("--temp", "inf"), "temperature"},
		{run("--temp", "hot"), "--temp"},
		{run("--mirostat", "1"), "mirostat"},
		{run("--repeat-last-n", "-2"), "repeat_last_n"},
		{run("--xtc-probability", "2"), "xtc_probability"},
		{run("--samplers", "top_k;magic"), "magic"},
		{run("--samplers", "top_k;top_k"), "twice"},
		{run("--seed", "-2"), "--seed"},
		{run("--seed", "1.5"), "--seed"},
		{run("--dry-multiplier", "1", "--dry-sequence-breaker", ""), "0 bytes long"},
		{run("--logit-bias", "5"), "--logit-bias"},
		{run("--logit-bias", "-5"), "--logit-bias"},
		{run("--logit-bias", "5+"), "--logit-bias"},
		{run("--logit-bias", "5+-1"), "--logit-bias"},
		{run("--logit-bias", "5+nan"), "--logit-bias"},
		{run("--logit-bias", "99999+1"), "no token 99999"},
		{run("--ctx", "-1"), "--ctx"},
		{run("--kv-type", "q4_0"), "f32, f16, q8_0"},
		{run("--kv", "window"), "--kv window: no budget is given: --kv-budget N"},
		{run("--kv-budget", "100"), "--kv-budget 100: --kv full keeps every row; the policies that drop some are " + dropping},
		{run("--kv", "full", "--kv-budget", "100"), "--kv-budget 100: --kv full keeps every row"},
		{run("--kv-budget", "-1"), "--kv-budget is -1"},
		{run("--kv-budget", "many"), `"many" for --kv-budget`},
		{run("--kv", "full:sinks=4"), "policy full has no parameters"},
		{run("--kv", "full:sinks=4", "--kv-budget", "100"), "full keeps every row"},
		{run("--kv", "think"), "write full+think"},
		{run("--kv", "full+think", "--kv-budget", "100"), "full keeps every row"},
		{run("--kv", "window+think", "--kv-budget", "100"), "it needs positions=text"},
		{run("--kv", "h2o+thinks", "--kv-budget", "100"), "nothing called"},
		{run("--kv", "h2o+think:ratio=2", "--kv-budget", "100"), "ratio"},
		{run("--kv", "magic"), `no policy "magic" (there is: full, ` + dropping + ")"},
		{run("--kv", "magic:sinks=4", "--kv-budget", "100"), `no policy "magic" (there is: full, ` + dropping + ")"},
		{run("--kv", "", "--kv-budget", "100"), `no policy ""`},
		{run("--kv", "window:sinks=4"), "no budget is given"},
		{run("--kv", "window:magic=4", "--kv-budget", "100"), "policy window has no parameter magic (it has heads, interval, positions, recent, sinks)"},
		{run("--kv", "window:sinks", "--kv-budget", "100"), `"sinks" is not key=value`},
		{run("--kv", "window:", "--kv-budget", "100"), `"" is not key=value`},
		{run("--kv", "window:sinks=4,sinks=5", "--kv-budget", "100"), "sinks is given twice"},
		{run("--kv", "window:sinks=-1", "--kv-budget", "100"), `sinks: "-1" is not a whole number`},
		{run("--kv", "window:heads=odd", "--kv-budget", "100"), `heads: "odd" is none of uniform, pair`},
		{run("--kv", "window:sinks=100", "--kv-budget", "100"), "a budget of 100 rows has no room beside 100 sinks"},
		{run("--kv", "window", "--kv-budget", "5"), "a budget of 5 rows has no room beside 4 sinks"},
		{run("--kv", "h2o:sinks=90,interval=10", "--kv-budget", "100"), "has no room beside 90 sinks and the 10 rows"},
		{run("--attention", "magic"), `no method "magic" (there is: full, chunked, landmark, retrieval)`},
		{run("--attention", ":block=16"), `no method ""`},
		{run("--attention", "full:block=16"), "full has no parameters"},
		{run("--attention", "full", "--kv-budget", "100"), "--kv full keeps every row"},
		{run("--attention", "chunked:magic=1"), "chunked has no parameter magic (it has chunk, layers, window)"},
		{run("--attention", "chunked:"), `"" is not key=value`},
		{run("--attention", "chunked:chunk=0"), `chunk: "0" is not a whole number from 1`},
		{run("--attention", "chunked:chunk=1,layers="), `"layers=" is not key=value`},
		{run("--attention", "chunked:layers=lxg"), `layers: "lxg": want l for local and g for global layers`},
		{run("--attention", "chunked", "--kv-budget", "100"), "--kv full keeps every row"},
		{run("--attention", "retrieval"), "no budget of rows to open is given"},
		{run("--attention", "retrieval", "--kv-budget", "9"), "a budget of 9 rows has no room for 64 sinks"},
		{run("--attention", "retrieval:block=1000000", "--kv-budget", "1000000"), "has no room for"},
		{run("--attention", "retrieval:block=10000000", "--kv-budget", "1000000"), "block: "},
		{run("--attention", "retrieval:estimate=0.5", "--kv-budget", "4096"), "estimate: it is for summary=clusters"},
		{run("--attention", "retrieval:summary=clusters,estimate=nan", "--kv-budget", "4096"), `estimate: "nan" is not a number from 0 to 1`},
		{run("--attention", "retrieval:summary=clusters,segment=16,block=64", "--kv-budget", "4096"), "segment: 16 rows are less than a cluster, which has 64"},
		{run("--attention", "retrieval", "--kv-budget", "9223372036854775808"), "out of range"},
		{run("--attention", "retrieval:summary=median", "--kv-budget", "4096"), "median"},
		{run("--attention", "retrieval:block=16,block=32", "--kv-budget", "4096"), "block is given twice"},
		{run("--attention", "landmark:blocks=2", "--kv-budget", "100"), "blocks: there is a budget of rows as well"},
		{run("--attention", "landmark:share=all"), "share: "},
		{run("--memory", "elephant"), "want one of auto, none, fifo, neural"},
		{run("--prefill-block", "0"), "--prefill-block"},
		{run("--threads", "-1"), "--threads"},
		{run("--cpu", "abacus"), "abacus"},
		{run("--json=perhaps"), "perhaps"},
		{[]string{"run", "-m", m, "--tokens", ""}, "empty"},
		{[]string{"run", "-m", m, "--tokens", "1,,2"}, "--tokens"},
		{[]string{"run", "-m", m, "--tokens", "1,two"}, `"two"`},
		{[]string{"run", "-m", m, "--tokens", "1,-2"}, `"-2"`},
		{[]string{"run", "-m", m, "--tokens", "1,99999"}, "no token 99999"},
		{[]string{"run", "-m", m, "--tokens", "99999999999"}, "--tokens"},
		{[]string{"tokenize", "-m", m}, "no text given"},
		{[]string{"tokenize", "-p", "x"}, "no model given"},
		{[]string{"tokenize", "-m", m, "-p", "x", "-f", "y"}, "one text is enough"},
		{[]string{"logits", "-m", m, "-p", "x", "--top", "0"}, "--top is 0"},
		{[]string{"logits", "-m", m}, "no prompt given"},
		{[]string{"perplexity", "-m", m}, "no text given"},
		{[]string{"perplexity", "-f", text}, "no model given"},
		{[]string{"perplexity", "-m", m, "-f", text, "--ctx", "2"}, "--ctx is 2"},
		{[]string{"perplexity", "-m", m, "-f", text, "--ctx", "-2"}, "--ctx is -2"},
		{[]string{"perplexity", "-m", m, "-f", text, "--chunks", "-2"}, "--chunks"},
		{[]string{"perplexity", "-m", m, "-f", text, "--tokens", "-2"}, "--tokens"},
		{[]string{"perplexity", "-m", m, "-f", text, "--part", "-1"}, "--part is -1"},
		{[]string{"perplexity", "-m", m, "-f", text, "--kv", "window"}, "no budget is given"},
		{[]string{"logits", "-m", m, "-p", "x", "--kv", "magic", "--kv-budget", "9"}, `no policy "magic"`},
		{[]string{"bench", "-m", m, "--kv-budget", "9"}, "--kv full keeps every row"},
		{[]string{"plan", "-m", m, "--kv", "window:magic=1", "--kv-budget", "99"}, "no parameter magic"},
		{[]string{"policies", "all"}, "unexpected argument"},
		{[]string{"inspect"}, "missing argument: FILE"},
		{[]string{"inspect", m, m}, "unexpected argument"},
		{[]string{"inspect", m, "-m", m}, "one file is enough"},
		{[]string{"plan"}, "no model given"},
		{[]string{"quantize", m}, "missing argument: OUT"},
		{[]string{"quantize", m, "out"}, "missing argument: TYPE"},
		{[]string{"quantize", m, "out", "Q9"}, "Q8_0"},
		{[]string{"convert", m}, "missing argument: OUT"},
		{[]string{"convert", m, "out", "--type", "Q8_0"}, "want one of F32, F16, BF16"},
		{[]string{"synth", "llama-tiny"}, "missing argument: OUT"},
		{[]string{"synth", "llama-900b", "out"}, "llama-7b"},
		{[]string{"synth", "llama-tiny", "out", "--type", "Q9"}, "Q8_0"},
		{[]string{"synth", "llama-tiny", "out", "--seed", "-1"}, "--seed"},
		{[]string{"completion"}, "missing argument: SHELL"},
		{[]string{"completion", "cmd"}, "powershell"},
		{[]string{"completion", "bash", "--json"}, "JSON"},
		{[]string{"version", "now"}, "unexpected argument"},
	} {
		refused(t, infer(c.args...), exitUsage, c.say, c.args)
		if c.args[0] == "run" {
			args := append(c.args[:len(c.args):len(c.args)], "--json")
			refused(t, infer(args...), exitUsage, "", args)
		}
	}
}

func TestFailures(t *testing.T) {
	m := tinyModel(t)
	whole, err := os.ReadFile(m)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	truncated := writeFile(t, "truncated.gguf", string(whole[:len(whole)/2]))
	noise := writeFile(t, "noise.gguf", strings.Repeat("noise", 100))
	empty := writeFile(t, "empty.gguf", "")
	none := filepath.Join(dir, "none.gguf")
	text := writeFile(t, "text", "the cat")
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"run", "-p", "x", "-m", none}, "none.gguf"},
		{[]string{"run", "-p", "x", "-m", dir}, dir},
		{[]string{"run", "-m", m, "-p", "x", "--attention", "landmark"}, "attention landmark is for models that carry landmark tokens, and llama carries none"},
		{[]string{"run", "-m", m, "-p", "x", "--attention", "retrieval", "--kv", "window", "--kv-budget", "256"}, "choose one of the two"},
		{[]string{"run", "-m", m, "-p", "x", "--memory", "neural"}, "has no memory of kind neural"},
		{[]string{"run", "-p", "x", "-m", truncated}, "truncated"},
		{[]string{"run", "-p", "x", "-m", noise}, "not a GGUF file"},
		{[]string{"run", "-p", "x", "-m", empty}, "empty.gguf"},
		{[]string{"run", "-p", "x", "-m", none + "\n\x1b[31m"}, "none.gguf"},
		{[]string{"run", "-m", m, "-f", none}, "none.gguf"},
		{[]string{"run", "-m", m, "-f", dir}, dir},
		{[]string{"run", "-m", m, "-p", "the cat sat", "--ctx", "2"}, "more than the 2 of --ctx"},
		{[]string{"run", "-m", m, "-p", "x", "--ctx", "2000000000000"}, "a context of 2000000000000 tokens"},
		{[]string{"tokenize", "-p", "x", "-m", none}, "none.gguf"},
		{[]string{"tokenize", "-p", "x", "-m", noise}, "not a GGUF file"},
		{[]string{"tokenize", "-m", m, "-f", none}, "none.gguf"},
		{[]string{"logits", "-p", "x", "-m", truncated}, "truncated"},
		{[]string{"logits", "-m", m, "-p", "the cat sat", "--ctx", "2"}, "--ctx"},
		{[]string{"perplexity", "-m", m, "-f", none}, "none.gguf"},
		{[]string{"perplexity", "-m", m, "-f", text}, "a window 96"},
		{[]string{"perplexity", "-m", m, "-f", empty, "--stream"}, "1 tokens"},
		{[]string{"perplexity", "-m", mute(t), "-f", text, "--ctx", "3"}, "no tokenizer"},
		{[]string{"inspect", none}, "none.gguf"},
		{[]string{"inspect", dir}, dir},
		{[]string{"inspect", noise}, "not a GGUF file"},
		{[]string{"plan", "-m", none}, "none.gguf"},
		{[]string{"plan", "-m", m, "--ctx", "9000000000000000000"}, "9000000000000000000"},
		{[]string{"quantize", none, filepath.Join(dir, "out"), "Q8_0"}, "none.gguf"},
		{[]string{"quantize", noise, filepath.Join(dir, "out"), "Q8_0"}, "not a GGUF file"},
		{[]string{"quantize", m, m, "Q8_0"}, "name another file"},
		{[]string{"quantize", m, dir, "Q8_0"}, dir},
		{[]string{"quantize", m, filepath.Join(dir, "no", "out"), "Q8_0"}, dir},
		{[]string{"convert", none, filepath.Join(dir, "out")}, "none.gguf"},
		{[]string{"convert", noise, filepath.Join(dir, "out")}, "noise.gguf"},
		{[]string{"synth", "llama-tiny", filepath.Join(dir, "no", "out")}, dir},
	} {
		refused(t, infer(c.args...), exitFailure, c.say, c.args)
		args := append(c.args[:len(c.args):len(c.args)], "--json")
		refused(t, infer(args...), exitFailure, c.say, args)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("failures left %v behind (%v)", left, err)
	}
}

// What cannot be written is an error; a reader that has gone is none worth a word.
func TestOutputThatFails(t *testing.T) {
	m := tinyModel(t)
	for _, args := range [][]string{
		{"run", "-m", m, "-p", "x", "-n", "5", "--ignore-eos"},
		{"run", "-m", m, "-p", "x", "-n", "5", "--json"},
		{"tokenize", "-m", m, "-p", "x"},
		{"inspect", m},
		{"completion", "bash"},
		{"run", "--help"},
		{"version"},
	} {
		for _, c := range []struct {
			err  error
			want string
		}{
			{errors.New("no space"), "infer: no space\n"},
			{&os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, ""},
		} {
			var stderr strings.Builder
			fails := writerFunc(func([]byte) (int, error) { return 0, c.err })
			code := runContext(t.Context(), args, strings.NewReader(""), fails, &stderr)
			if code != exitFailure || stderr.String() != c.want {
				t.Errorf("%v, %v: exit %d, stderr %q", args, c.err, code, stderr.String())
			}
		}
	}
}

func TestInputThatFails(t *testing.T) {
	r, w := io.Pipe()
	w.CloseWithError(errors.New("unplugged"))
	args := []string{"run", "-m", tinyModel(t), "-f", "-"}
	refused(t, inferWithInput(r, args...), exitFailure, "standard input: unplugged", args)
}

func TestInterruptedWhileItWaits(t *testing.T) {
	r, w := io.Pipe() // gives nothing
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr strings.Builder
	code := runContext(ctx, []string{"run", "-m", tinyModel(t), "-f", "-"}, r, &stdout, &stderr)
	refused(t, result{code, stdout.String(), stderr.String()}, exitFailure, "interrupted", nil)
}
