package fifo

import (
	"math"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// The worked example: three rows of two values, a window of two, two slots.
var (
	goldenX     = [][]float64{{1, 0}, {0, 1}, {1, 1}}
	goldenSlots = []float32{.5, -.5, 0, 2}
	eye         = []float32{1, 0, 0, 1}
)

func closeTo(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i, v := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-v) <= 2e-6) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

// path attends from row t to the rows from first on.
func path(t, first int) []float64 {
	var scores []float64
	for _, k := range goldenX[first : t+1] {
		scores = append(scores, inner(goldenX[t], k)/math.Sqrt2)
	}
	_, out := mix(scores, goldenX[first:t+1])
	return out
}

func goldenBank(t *testing.T, impl *kernels.Implementation, gate Gate, times int) *Bank {
	t.Helper()
	c := Config{Dim: 2, Chunk: 3, Slots: 2, PerChunk: 1, Gate: gate, Heads: 1, HeadDim: 2, Scale: 1}
	var w Weights
	for range times {
		w.GateW, w.GateU = append(w.GateW, eye...), append(w.GateU, eye...)
	}
	b := newLayer(t, c, w).NewBank()
	copy(b.slots, goldenSlots)
	b.filled, b.next = 2, 0
	return b
}

func TestGolden(t *testing.T) {
	full := [][]float64{{1, 0}, {.330238, .669762}, {.751745, .751745}}
	windowed := [][]float64{{1, 0}, {.330238, .669762}, {1, 1}}
	alpha := [][]float64{{.622459, .377541}, {.075858, .924142}, {.119203, .880797}}
	memory := [][]float64{{.311230, .443852}, {.037929, 1.810355}, {.059601, 1.701993}}
	fused := [][]float64{{.655615, .221926}, {.184084, 1.240058}, {.488425, 1.309621}}
	fusion, err := NewFusion([]float32{0, float32(math.Ln2), float32(math.Log(3))}, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	l := fusion.Lambda(0)
	closeTo(t, "λ", wide(l[:]), []float64{1. / 6, 1. / 3, .5})
	for _, impl := range kernels.Implementations() {
		b, s := goldenBank(t, impl, GateGRU, 3), newScratch()
		slow := &naive{Layer: b.Layer, slots: [][]float64{{.5, -.5}, {0, 2}}}
		var h []float32
		for i, x := range goldenX {
			closeTo(t, "A_full", path(i, 0), full[i])
			closeTo(t, "A_chunk", path(i, i/2*2), windowed[i])
			weights, _ := slow.read(x, 0)
			closeTo(t, "α", weights, alpha[i])
			read := make([]float32, 2)
			b.Read(impl, read, 2, narrow(x), 2, 1, 0, s)
			closeTo(t, impl.Name+": A_mem", wide(read), memory[i])
			mixed := make([]float32, 2)
			fusion.Mix(mixed, narrow(path(i, 0)), narrow(path(i, i/2*2)), read, 0, false)
			closeTo(t, impl.Name+": H", wide(mixed), fused[i])
			h = append(h, mixed...)
		}
		for gate, want := range map[Gate][]float64{GateGRU: {.253235, 1.044292}, GateSimple: {.269567, .978736}, GateNone: {.442708, .923868}} {
			b := goldenBank(t, impl, gate, map[Gate]int{GateGRU: 3, GateSimple: 1}[gate])
			if err := b.Write(impl, h); err != nil {
				t.Fatal(err)
			}
			b.Advance(impl, s)
			closeTo(t, impl.Name+": new slot by gate "+gate.String(), wide(b.group(0)), want)
			closeTo(t, "the slot before it", wide(b.group(1)), []float64{0, 2})
			if b.Filled() != 2 || b.next != 1 || b.Reach() != 0 {
				t.Errorf("%d slots, %d next, %d rows", b.Filled(), b.next, b.Reach())
			}
		}
	}
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}
