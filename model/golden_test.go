package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// golden is what the reference engine made of a model and a prompt.
type golden struct {
	PromptTokens []int32        `json:"prompt_tokens"`
	Top          [][][2]float64 `json:"top"`
	LastLogits   []float64      `json:"last_logits"`
	MeanNLL      float64        `json:"mean_nll"`
	Greedy       []int32        `json:"greedy"`
}

func goldenFiles(t *testing.T) []string {
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, "golden"), "*.*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	return files
}

func readGolden(t *testing.T, path string) golden {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func openShared(t *testing.T, name string) *Model {
	t.Helper()
	f, err := weights.Open(testdata.Shared(t, "models/"+name+".gguf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	m, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Two independent C++ engines differ on these files by half of these bounds or less.
const (
	goldenFloatRMS = 0.012 // F32, F16 and BF16 weights
	// With BF16 weights and other rows in the cache than the reference had: keys and values that differ by more than the
	// last bit make activations round to other bfloat16 from the first tokens on.
	goldenBF16CacheRMS = 0.02
	// Where two logits are closer than the differences that are allowed, the reference's greedy choice is a coin's: the
	// last bit of an exponential decides it.
	goldenBF16Tie       = 2 * goldenFloatRMS
	goldenQuantRMS      = 0.035
	goldenQuantBabyRMS  = 0.09
	goldenNLLDifference = 0.01
	// The short prompt scores eight tokens, and babyllama105 is so sure of them (0.016 to 0.031 nats) that the rounding
	// of activations to 8 bits, the reference's or ours, moves their mean by more than 1%; that of other rows in the
	// cache as much again.
	goldenNLLFloor = 0.0015
)

func TestGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("the reference engine's values are for a full run")
	}
	for _, path := range goldenFiles(t) {
		base := strings.TrimSuffix(filepath.Base(path), ".json")
		name := base[:strings.LastIndex(base, ".")]
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			g, m := readGolden(t, path), openShared(t, name)
			for _, impl := range kernels.Implementations() {
				for _, rows := range []quant.Type{quant.F32, quant.F16} {
					t.Run(impl.Name+"/"+rows.String(), func(t *testing.T) { checkGolden(t, m, impl, rows, g) })
				}
			}
		})
	}
}

func checkGolden(t *testing.T, m *Model, impl *kernels.Implementation, rows quant.Type, g golden) {
	r := NewRunner(m, impl, 1)
	defer r.Close()
	seq := newSequence(t, m, rows)
	logits := forward(t, r, seq, g.PromptTokens, 0)
	var sum float64
	var count int
	for i, top := range g.Top {
		for _, entry := range top {
			d := float64(logits[i][int(entry[0])]) - entry[1]
			sum += d * d
			count++
		}
	}
	for i, want := range g.LastLogits {
		d := float64(logits[len(logits)-1][i]) - want
		sum += d * d
		count++
	}
	rms, bound := math.Sqrt(sum/float64(count)), float64(goldenFloatRMS)
	if quantized := m.forms&kernels.FormQ8 != 0; quantized {
		if bound = goldenQuantRMS; m.Vocabulary == 105 {
			bound = goldenQuantBabyRMS
		}
	}
	if m.forms&kernels.FormBF16 != 0 && rows != goldenRows(m) {
		bound = goldenBF16CacheRMS
	}
	nll, floor := meanNLL(logits, g.PromptTokens), goldenNLLFloor
	if rows != goldenRows(m) {
		floor *= 2
	}
	t.Logf("RMS %.5f (bound %g), mean nll %.5f (want %.5f)", rms, bound, nll, g.MeanNLL)
	if !(rms <= bound) {
		t.Errorf("logits differ by %.5f RMS, more than %g", rms, bound)
	}
	if !(math.Abs(nll-g.MeanNLL) <= max(floor, goldenNLLDifference*g.MeanNLL)) {
		t.Errorf("mean nll %.5f, want %.5f within 1%%", nll, g.MeanNLL)
	}
	if m.forms&kernels.FormQ8 != 0 || rows != goldenRows(m) {
		return
	}
	tie := 0.0
	if m.forms&kernels.FormBF16 != 0 {
		tie = goldenBF16Tie
	}
	checkGreedy(t, r, seq, logits[len(logits)-1], len(g.PromptTokens), g.Greedy, tie)
}

// goldenRows is the type of the rows in the reference engine's cache.
func goldenRows(m *Model) quant.Type {
	if m.Architecture == "qwen3" {
		return quant.F16
	}
	return quant.F32
}

func newSequence(t *testing.T, m *Model, rows quant.Type) *Sequence {
	t.Helper()
	seq, err := m.NewSequence(SequenceOptions{Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// forward runs tokens from position first on and returns the logits of each.
func forward(t *testing.T, r *Runner, seq *Sequence, tokens []int32, first int) [][]float32 {
	t.Helper()
	batch := make([]Row, len(tokens))
	for i, id := range tokens {
		batch[i] = Row{Token: id, Position: int32(first + i), Sequence: seq, Logits: true}
	}
	out := make([][]float32, len(tokens))
	if err := r.Forward(batch, nil, func(i int, values []float32) { out[i] = slices.Clone(values) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkGreedy writes on from the position pos and compares with the tokens wanted, up to where the one wanted and the one
// chosen are no further apart than tie.
func checkGreedy(t *testing.T, r *Runner, seq *Sequence, logits []float32, pos int, want []int32, tie float64) {
	t.Helper()
	for i, w := range want {
		best := 0
		for j, v := range logits {
			if v > logits[best] {
				best = j
			}
		}
		if best != int(w) {
			lead := float64(logits[best]) - float64(logits[w])
			if lead <= tie {
				t.Logf("from token %d of %d on others are written: %d leads %d by %.4f", i, len(want), best, w, lead)
			} else {
				t.Errorf("token %d of %d is %d, want %d, which it leads by %.4f", i, len(want), best, w, lead)
			}
			return
		}
		logits = forward(t, r, seq, []int32{w}, pos+i)[0]
	}
}

// meanNLL is the mean negative log-likelihood of tokens[1:].
func meanNLL(logits [][]float32, tokens []int32) float64 {
	var sum float64
	for i, id := range tokens[1:] {
		most := float64(slices.Max(logits[i]))
		var total float64
		for _, v := range logits[i] {
			total += math.Exp(float64(v) - most)
		}
		sum += math.Log(total) + most - float64(logits[i][id])
	}
	return sum / float64(len(tokens)-1)
}
