package mneme

import (
	"math"
	"testing"

	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// The rows that are left for a block are those that the mask lets its tokens see.
func TestSensitivity(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids := text(m, 150)
	mask := episodic.BlockMask{Window: 32, Sinks: 4, Overlap: 0.5}
	done := 0
	p, err := m.Sensitivity(t.Context(), ids, mask, episodic.PerToken, func(n, total int) {
		if n <= done || total != 2*len(ids) {
			t.Errorf("%d of %d tokens after %d", n, total, done)
		}
		done = n
	})
	if err != nil {
		t.Fatal(err)
	}
	if done != 2*len(ids) {
		t.Errorf("%d tokens read of two passes over %d", done, len(ids))
	}
	if len(p.Sigma) != m.Config().Layers || p.Tokens != len(ids) {
		t.Fatalf("%+v", p)
	}
	// The first layer's keys do not depend on what came before.
	if math.Abs(p.Sigma[0]-1) > 1e-6 {
		t.Errorf("the first layer has σ %v", p.Sigma[0])
	}
	for l, sigma := range p.Sigma[1:] {
		if !(sigma < 0.9999999) {
			t.Errorf("layer %d has σ %v: nothing was forgotten", l+1, sigma)
		}
	}
	// What sees everything forgets nothing.
	all, err := m.Sensitivity(t.Context(), ids, episodic.BlockMask{Window: 32, Sinks: 150, Overlap: 1}, episodic.ReleasedWindow, nil)
	if err != nil {
		t.Fatal(err)
	}
	for l, sigma := range all.Sigma {
		if math.Abs(sigma-1) > 1e-9 {
			t.Errorf("nothing is forgotten, and layer %d has σ %v", l, sigma)
		}
	}
	if _, err := m.Sensitivity(t.Context(), ids[:32], mask, 1, nil); err == nil {
		t.Error("a text of one block was measured")
	}
	// Rows go one by one, also where the model would have them in blocks.
	if p, err := landmarkModel(t, 2).Sensitivity(t.Context(), landmarkText(150), mask, episodic.PerToken, nil); err != nil || p.Tokens != 150 {
		t.Errorf("a model with landmarks: %+v, %v", p, err)
	}
}

func TestForgetKeepsWhatTheMaskShows(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	mask := episodic.BlockMask{Window: 20, Sinks: 3, Overlap: 0.25}
	p := &profiling{model: m, mask: mask}
	ids := text(m, 100)
	var err error
	if p.similarity, err = episodic.NewSensitivity(m.Config().Layers, 1); err != nil {
		t.Fatal(err)
	}
	if err := p.run(t.Context(), ids[:60]); err != nil {
		t.Fatal(err)
	}
	rows := p.block.Cache.RowsOf(1, 0)
	seen := map[int]bool{}
	for i := range rows.Len() {
		seen[int(rows.Position(i))] = true
	}
	for key := range 60 {
		if want := mask.Sees(60, key); seen[key] != want {
			t.Errorf("token 60 sees token %d: %v, want %v", key, seen[key], want)
		}
	}
}
