package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// newNaiveAdapted computes logits of a model with an adapter in float64: of the backbone by itself, with h + W_o·Memory(RMSNorm_m(h)) in
// place of h before the blocks of layers that have a memory.
func newNaiveAdapted(file, adapter *weights.File, base, m *Model, window int, forgetful bool) naive {
	n := naive{file: file, cfg: base.Config, adapter: adapter, made: map[string][]float64{}}
	if window > 0 {
		plain := n
		n.from = func(l, i int) int { return max(0, plain.first(l, i), i-window+1) }
	}
	n.cfg.Fifo, n.cfg.Neural = m.Fifo, m.Neural
	n.recall = func(l int, hidden [][]float64) {
		switch {
		case forgetful:
		case slices.Contains(m.Neural.Layers, l):
			x := (&naiveTitans{naive: n}).layer(l)
			for _, h := range hidden {
				accumulate(h, x.memory(x.norm("mem_norm", h)), 1)
			}
		case slices.Contains(m.Fifo.Layers, l):
			(&naiveFifo{naive: n}).recallBank(l, hidden)
		}
	}
	return n
}

// recallBank adds what each row reads of the bank, which takes chunk after chunk.
func (n *naiveFifo) recallBank(l int, hidden [][]float64) {
	made := map[string][]float64{}
	get := func(s string) []float64 {
		if _, ok := made[s]; !ok {
			made[s] = n.tensor(fmt.Sprintf("blk.%d.%s", l, s))
		}
		return made[s]
	}
	bank := &naiveBank{}
	for t, h := range hidden {
		if t > 0 && t%n.cfg.Fifo.Chunk == 0 {
			n.fold(bank, get)
		}
		u := n.norm(h, get("mem_input_norm.weight"))
		if len(bank.slots) > 0 {
			accumulate(h, times(get("mem_output.weight"), n.read(bank, times(get("mem_q.weight"), u, nil), get), nil), 1)
		}
		if w := get("mem_pool_norm.weight"); w != nil {
			u = n.norm(u, w)
		}
		bank.rows = append(bank.rows, u)
	}
}

// TestAdapterIsTheNaiveOne holds memories before the blocks of backbones against float64, after texts that fill banks and go on, with all
// that attention sees and with a window.
func TestAdapterIsTheNaiveOne(t *testing.T) {
	list := []string{"gemma2-tiny", "llama-tiny", "qwen3-tiny"}
	if testing.Short() {
		list = list[:1]
	}
	for i, name := range list {
		file := synthFile(t, name, quant.F32)
		base := load(t, file)
		for j, a := range adaptersOf(t, name) {
			for k, window := range []int{0, 9} {
				if i > 0 && (i+j+k)%2 == 0 {
					continue // the first one has them all
				}
				a.Window, a.Layers = window, nil
				if k == j {
					a.Layers = []int{base.Layers - 1}
				}
				adapter := a.file(t, quant.F32)
				m := withAdapter(t, base, adapter)
				tokens := text(37, 5)
				for _, off := range []bool{false, true} {
					if off && (window == 0 || i > 0) {
						continue
					}
					want := newNaiveAdapted(file, adapter, base, m, window, off).logits(tokens)
					for _, impl := range kernels.Implementations() {
						r := NewRunner(m, impl, 1)
						s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: off})
						if err != nil {
							t.Fatal(err)
						}
						got := forward(t, r, s, tokens, 0)[len(tokens)-1]
						r.Close()
						worst := 0.
						for k, w := range want {
							worst = max(worst, math.Abs(float64(got[k])-w))
						}
						if !(worst < 1e-3) {
							t.Errorf("%s, %s, window %d, %s, without memory %v: logits differ by up to %g", name, m.Memory(), window, impl.Name, off, worst)
						}
						t.Logf("%s, %s, window %d, %s: largest difference %.2g", name, m.Memory(), window, impl.Name, worst)
					}
				}
			}
		}
	}
}
