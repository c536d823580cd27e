package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// asProgram makes the test binary the program itself, for tests that need a process.
const asProgram = "INFER_TEST_AS_PROGRAM"

// statusTo names a file into which the program then writes, at its end, what the system tells of its process.
const statusTo = "INFER_TEST_STATUS_TO"

// scratch is a folder for the models that tests share.
var scratch string

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(programMain())
	}
	os.Exit(testMain(m))
}

func programMain() int {
	code := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if path := os.Getenv(statusTo); path != "" {
		status, err := os.ReadFile("/proc/self/status")
		if err == nil {
			err = os.WriteFile(path, status, 0o600)
		}
		if err != nil {
			panic(err)
		}
	}
	return code
}

func testMain(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "infer"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// trained is the context length of the test models.
const trained = 96

// tinyShape is the shape of a small model.
func tinyShape() (synth.Shape, error) {
	shape, err := synth.Lookup("llama-tiny")
	shape.Embedding, shape.FeedForward, shape.Heads, shape.KVHeads, shape.Context = 64, 64, 2, 1, trained
	return shape, err
}

// tiny writes a small random model, once.
var tiny = sync.OnceValues(func() (string, error) {
	shape, err := tinyShape()
	if err != nil {
		return "", err
	}
	path := filepath.Join(scratch, "tiny.gguf")
	return path, synth.Write(context.Background(), path, shape, quant.F32, 1, nil)
})

// middling writes a random model of 76 MB, once: larger than what a process holds in any case.
var middling = sync.OnceValues(func() (string, error) {
	shape, err := synth.Lookup("llama-160m")
	if err != nil {
		return "", err
	}
	path := filepath.Join(scratch, "middling.gguf")
	return path, synth.Write(context.Background(), path, shape, quant.Q4_0, 1, nil)
})

func middlingModel(t testing.TB) string {
	t.Helper()
	path, err := middling()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func tinyModel(t testing.TB) string {
	t.Helper()
	path, err := tiny()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// variant writes the test model with other metadata: change is given a copy of them.
func variant(t testing.TB, name string, change func(md *weights.Metadata)) string {
	t.Helper()
	return rewrite(t, tinyModel(t), name, change, nil)
}

// rewrite copies a model, with other metadata and further tensors of one dimension.
func rewrite(t testing.TB, from, name string, change func(md *weights.Metadata), vectors map[string][]float32) string {
	t.Helper()
	f, err := weights.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	md := f.Metadata().Clone()
	change(md)
	var infos []weights.TensorInfo
	for _, tensor := range f.Tensors() {
		infos = append(infos, weights.TensorInfo{Name: tensor.Name, Type: tensor.Type, Shape: tensor.Shape})
	}
	added := slices.Sorted(maps.Keys(vectors))
	for _, name := range added {
		infos = append(infos, weights.TensorInfo{Name: name, Type: quant.F32, Shape: []int{len(vectors[name])}})
	}
	path := filepath.Join(t.TempDir(), name)
	w, err := weights.Create(path, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, tensor := range f.Tensors() {
		if err := w.WriteTensor(tensor.Name, tensor.Data); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range added {
		data := make([]byte, 4*len(vectors[name]))
		if err := quant.Encode(quant.F32, data, vectors[name]); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteTensor(name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// mute writes the test model without a vocabulary.
func mute(t testing.TB) string {
	return variant(t, "mute.gguf", func(md *weights.Metadata) {
		for _, key := range md.Keys() {
			if strings.HasPrefix(key, "tokenizer.") {
				md.Delete(key)
			}
		}
	})
}

func openModel(t testing.TB, path string) *mneme.Model {
	t.Helper()
	m, err := mneme.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// result is what one execution left behind.
type result struct {
	code           int
	stdout, stderr string
}

func inferWithInput(stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := runContext(context.Background(), args, stdin, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func infer(args ...string) result { return inferWithInput(strings.NewReader(""), args...) }

// succeed runs a command line that must work, without a word on stderr.
func succeed(t testing.TB, args ...string) string {
	t.Helper()
	r := infer(args...)
	if r.code != exitSuccess || r.stderr != "" {
		t.Fatalf("infer %s: exit %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// decode reads the one JSON object that stdout must be.
func decode[T any](t testing.TB, stdout string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("stdout %.200q: %v", stdout, err)
	}
	if rest, _ := io.ReadAll(d.Buffered()); strings.TrimSpace(string(rest)) != "" || !strings.HasSuffix(stdout, "}\n") {
		t.Fatalf("stdout has more than an object: %.200q", stdout)
	}
	return v
}

// writeFile makes a file and returns its path.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
