package mneme

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// synthModel writes a random model to a file and opens it.
func synthModel(t testing.TB, shape string, opts ...ModelOption) *Model {
	t.Helper()
	return openSynth(t, synthFile(t, shape, quant.Q8_0), opts...)
}

func openSynth(t testing.TB, path string, opts ...ModelOption) *Model {
	t.Helper()
	m, err := Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func synthFile(t testing.TB, name string, typ quant.Type) string {
	t.Helper()
	shape, err := synth.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".gguf")
	if err := synth.Write(context.Background(), path, shape, typ, 1, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// written is a file of tensors, whose data are given by their names.
func written(t testing.TB, md *weights.Metadata, infos []weights.TensorInfo, data map[string][]byte) *weights.File {
	t.Helper()
	var file bytes.Buffer
	w, err := weights.NewWriter(&file, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range infos {
		if err := w.WriteTensor(x.Name, data[x.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}
