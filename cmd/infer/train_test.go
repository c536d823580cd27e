package main

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
)

// aRhyme is a text to train with.
func aRhyme(t testing.TB) string {
	return writeFile(t, "rhyme.txt", strings.Repeat("one two buckle my shoe, three four knock at the door; ", 300))
}

func TestTrain(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model of a million parameters")
	}
	text, dir := aRhyme(t), t.TempDir()
	out, again := filepath.Join(dir, "rhyme.gguf"), filepath.Join(dir, "again.gguf")
	args := []string{"train", "base", "--text", text, "--vocab", "280", "--length", "16", "--steps", "4"}
	r := decode[trainResult](t, succeed(t, append(args, "--out", out, "--json")...))
	f, err := weights.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r.Recipe != "base on text" || r.Seed != 1 || r.Steps != 4 || r.Tokens != 4*2048 || !(r.TokensPerSecond > 0) || r.Parameters < 800_000 || r.Bytes != f.Size() || r.Log != out+".csv" {
		t.Errorf("%+v", r)
	}
	if len(r.Stages) != 2 || r.Stages[1].Exam == nil || !(r.Stages[1].Exam.Loss > 0) || r.Stages[1].Exam.Recall != nil || r.Stages[1].Zeroed != nil || !r.Stages[1].Reached {
		t.Errorf("%+v", r.Stages)
	}
	log, err := os.Open(r.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if lines, err := csv.NewReader(log).ReadAll(); err != nil || len(lines) != 5 {
		t.Errorf("a log of %d lines, %v", len(lines), err)
	}
	if _, err := os.Stat(out + ".checkpoint"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the checkpoint is left: %v", err)
	}
	if printed := succeed(t, append(args, "-o", again, "--threads", "1", "--log", filepath.Join(dir, "log"))...); !strings.Contains(printed, "again.gguf") || !strings.Contains(printed, "text, cooling") {
		t.Errorf("printed %q", printed)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(again); err != nil || string(first) != string(second) {
		t.Errorf("another number of threads makes another model (%v)", err)
	}
	succeed(t, "run", "-m", out, "-p", "three four", "-n", "3")
}

func TestTrainAdapter(t *testing.T) {
	base, text, dir := tinyModel(t), aRhyme(t), t.TempDir()
	before, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"fifo", "neural"} {
		out := filepath.Join(dir, kind+".gguf")
		args := []string{"train", "adapter", "-m", base, "--memory", kind, "--text", text, "--window", "16", "--length", "48", "--steps", "2", "--layers", "1,0", "--type", "F32"}
		r := decode[trainResult](t, succeed(t, append(args, "--out", out, "--json")...))
		if r.Recipe != "adapter "+kind || r.Steps != 2 || len(r.Stages) != 1 || r.Stages[0].Zeroed == nil || !(r.Stages[0].Exam.Loss < r.Stages[0].Zeroed.Loss) {
			t.Errorf("%+v", r)
		}
		f, err := weights.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if layers, _ := f.Metadata().Int32s("mneme.memory." + kind + ".layers"); !slices.Equal(layers, []int32{0, 1}) {
			t.Errorf("memories in layers %v", layers)
		}
		succeed(t, "run", "-m", base, "--adapter", out, "-p", "three four", "-n", "3")
	}
	if after, err := os.ReadFile(base); err != nil || string(after) != string(before) {
		t.Errorf("the model was changed (%v)", err)
	}
}

func TestTrainLandmarks(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	r := decode[trainResult](t, succeed(t, "train", "landmark", "-m", tinyModel(t), "--text", aRhyme(t), "--length", "40", "--steps", "2", "--out", out, "--json"))
	if r.Recipe != "landmark on a model" || r.Steps != 2 || len(r.Stages) != 1 || r.Stages[0].Exam == nil {
		t.Errorf("%+v", r)
	}
	succeed(t, "run", "-m", out, "-p", "three four", "-n", "3")
}

func TestTrainFails(t *testing.T) {
	dir := t.TempDir()
	out, rhyme, tiny := filepath.Join(dir, "out.gguf"), aRhyme(t), tinyModel(t)
	for _, c := range []struct {
		args []string
		say  string
		code int
	}{
		{[]string{"train"}, "missing argument", exitUsage},
		{[]string{"train", "elephant", "--out", out}, "there is: base, landmark, fifo, titans", exitUsage},
		{[]string{"train", "base"}, "--out", exitUsage},
		{[]string{"train", "base", "--out", out, "--type", "Q2_K"}, "Q2_K", exitUsage},
		{[]string{"train", "base", "--out", out, "--vocab", "300"}, "--vocab is for training with --text", exitUsage},
		{[]string{"train", "base", "--out", out, "--text", "x", "--steps", "0"}, "--steps 0", exitUsage},
		{[]string{"train", "base", "--out", out, "--cpu", "abacus"}, "abacus", exitUsage},
		{[]string{"train", "base", "--out", out, "--text", filepath.Join(dir, "none")}, "none", exitFailure},
		{[]string{"train", "base", "--out", out, "--text", aRhyme(t), "--vocab", "100"}, "vocabulary", exitFailure},
		{[]string{"train", "base", "--out", out, "--text", writeFile(t, "short.txt", "one two"), "--vocab", "300"}, "pieces of 256 tokens", exitFailure},
		{[]string{"train", "base", "--out", filepath.Join(dir, "no", "out.gguf")}, dir, exitFailure},
		{[]string{"train", "base", "--out", dir}, "no regular file", exitFailure},
		{[]string{"train", "base", "--out", out, "--checkpoint", aRhyme(t)}, "rhyme.txt", exitFailure},
		{[]string{"train", "base", "--out", out, "--checkpoint", out}, "--out and --checkpoint name the same file", exitUsage},
		{[]string{"train", "base", "--out", out, "--log", filepath.Join(dir, ".", "out.gguf")}, "--out and --log name the same file", exitUsage},
		{[]string{"train", "base", "--out", out, "--text", rhyme, "--log", rhyme}, "--log and --text name the same file", exitUsage},
		{[]string{"train", "base", "--out", out, "--checkpoint", filepath.Join(dir, "no", "kept")}, dir, exitFailure},
		{[]string{"train", "base", "--out", out, "--text", rhyme, "--length", "9223372036854775807"}, "16777216 tokens", exitFailure},
		{[]string{"train", "base", "--out", out, "--text", rhyme, "--length", "16000000"}, "held out", exitFailure},
		{[]string{"train", "landmark", "--out", out, "--text", rhyme}, "landmark", exitFailure},
		{[]string{"train", "adapter", "--out", out}, "-m FILE", exitUsage},
		{[]string{"train", "adapter", "--out", out, "-m", tiny}, "--text FILE", exitUsage},
		{[]string{"train", "adapter", "--out", out, "-m", tiny, "--text", rhyme, "--vocab", "300"}, "--vocab", exitUsage},
		{[]string{"train", "adapter", "--out", out, "-m", tiny, "--text", rhyme, "--layers", "0,2"}, "of the 2 that", exitUsage},
		{[]string{"train", "adapter", "--out", out, "-m", tiny, "--text", rhyme, "--memory", "elephant"}, "elephant", exitUsage},
		{[]string{"train", "adapter", "--out", out, "-m", tiny, "--text", rhyme, "--length", "16"}, "nothing is to be remembered", exitFailure},
		{[]string{"train", "adapter", "--out", tiny, "-m", tiny, "--text", rhyme}, "--out and -m name the same file", exitUsage},
		{[]string{"train", "adapter", "--out", out, "-m", filepath.Join(dir, "none"), "--text", rhyme}, "none", exitFailure},
		{[]string{"train", "landmark", "--out", out, "-m", tiny, "--text", rhyme, "--window", "3"}, "--window is for recipe adapter", exitUsage},
		{[]string{"train", "landmark", "--out", out, "-m", tiny}, "--text FILE", exitUsage},
		{[]string{"train", "base", "--out", out, "-m", tiny}, "recipe base trains a model of its own", exitUsage},
		{[]string{"train", "base", "--out", out, "--window", "3"}, "--window is for recipe adapter", exitUsage},
	} {
		refused(t, infer(c.args...), c.code, c.say, c.args)
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failure left a model: %v", err)
	}
}
