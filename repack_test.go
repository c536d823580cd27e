package mneme

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

func TestWithRepack(t *testing.T) {
	shape, err := synth.Lookup("moe-tiny")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := synth.Write(t.Context(), path, shape, quant.Q4_K, 1, nil); err != nil {
		t.Fatal(err)
	}
	var texts [2][]int32
	for i, opts := range [][]ModelOption{nil, {WithRepack()}} {
		m, err := Open(path, opts...)
		if err != nil {
			t.Fatal(err)
		}
		texts[i], _ = collect(t, newSession(t, m), "once", greedily(30)...)
		plan, err := m.Plan(10)
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(i) * m.Repacking().Bytes; plan.RepackedBytes != want {
			t.Errorf("a copy of %d bytes is planned for, want %d", plan.RepackedBytes, want)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(texts[0]) != 30 || !slices.Equal(texts[0], texts[1]) {
		t.Errorf("%v, repacked %v", texts[0], texts[1])
	}
}
