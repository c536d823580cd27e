package bench

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/sysmem"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// smallRead keeps the measurement of the bandwidth short. It says nothing about the machine.
const smallRead = 3<<20 + 7

// tinyOf opens a random model of one of synth's tiny shapes.
func tinyOf(t testing.TB, name string, typ quant.Type, opts ...mneme.ModelOption) *mneme.Model {
	t.Helper()
	shape, err := synth.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".gguf")
	if err := synth.Write(t.Context(), path, shape, typ, 1, nil); err != nil {
		t.Fatal(err)
	}
	m, err := mneme.Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func positive(values ...float64) bool {
	for _, v := range values {
		if !(v > 0) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

func TestRooflineOfEveryImplementation(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, threads := range []int{1, 2} {
			m := tinyOf(t, "llama-tiny", quant.Q4_0, mneme.WithKernels(impl.Name), mneme.WithThreads(threads))
			r, err := MeasureRoofline(t.Context(), m, smallRead)
			if err != nil || !positive(r.ReadGBps, r.Int8GOPS, r.F32GFLOPS) {
				t.Errorf("%s, %d threads: %+v, %v", impl.Name, threads, r, err)
			}
		}
	}
}

func TestRooflineRefuses(t *testing.T) {
	m := tiny(t)
	for _, n := range []int{-1, maxReadBytes + 1} {
		if _, err := MeasureRoofline(t.Context(), m, n); err == nil {
			t.Errorf("a buffer of %d bytes was accepted", n)
		}
	}
	if free, known := sysmem.Available(); known && free < maxReadBytes {
		if _, err := MeasureRoofline(t.Context(), m, maxReadBytes); !errors.Is(err, mneme.ErrMemory) {
			t.Errorf("a buffer beyond all memory: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := MeasureRoofline(ctx, m, smallRead); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestHigherLimits(t *testing.T) {
	got := Roofline{1, 20, 3}.higher(Roofline{10, 2, 3})
	if want := (Roofline{10, 20, 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestThroughputSweeps(t *testing.T) {
	for _, name := range []string{"llama-tiny", "moe-tiny", "gemma2-tiny"} {
		m := tinyOf(t, name, quant.Q8_0)
		r, err := Throughput(t.Context(), m, ThroughputOptions{
			Prompts: []int{5, 70}, Generate: []int{3, 6}, Depths: []int{0, 200, 0, 7}, Repeats: 2, ReadBytes: smallRead,
		})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, row := range r.Rows {
			names = append(names, row.Test)
			if !positive(row.TokensPerSecond, row.OfRoofline) || !(row.StdDev >= 0) || math.IsInf(row.StdDev, 0) {
				t.Errorf("%s: %+v", name, row)
			}
		}
		want := "pp5 pp70 tg3 tg6 pp5@d200 pp70@d200 tg3@d200 tg6@d200 pp5 pp70 tg3 tg6 pp5@d7 pp70@d7 tg3@d7 tg6@d7"
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: rows %s, want %s", name, got, want)
		}
		if !positive(r.Roofline.ReadGBps, r.Roofline.Int8GOPS, r.Roofline.F32GFLOPS) {
			t.Errorf("%s: %+v", name, r.Roofline)
		}
	}
}

func TestThroughputDefaults(t *testing.T) {
	m := tinyOf(t, "llama-tiny", quant.F16)
	last, calls := 0, 0
	r, err := Throughput(t.Context(), m, ThroughputOptions{Generate: []int{10}, ReadBytes: smallRead, Progress: func(done, total int) {
		if calls++; done <= last || done > total || total != 4+DefaultRepeats*10 {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	}})
	if err != nil || len(r.Rows) != 1 || r.Rows[0].Test != "tg10" {
		t.Fatalf("%+v, %v", r, err)
	}
	if calls != 1+DefaultRepeats || last != 4+DefaultRepeats*10 {
		t.Errorf("%d calls, last %d", calls, last)
	}
	one, err := Throughput(t.Context(), m, ThroughputOptions{Prompts: []int{9}, Repeats: 1, ReadBytes: smallRead})
	if err != nil || len(one.Rows) != 1 || one.Rows[0].StdDev != 0 {
		t.Errorf("one run: %+v, %v", one, err)
	}
}

// The share of the roofline is that of the bytes and operations counted by hand.
func TestShareOfTheRoofline(t *testing.T) {
	limit := Roofline{ReadGBps: 2, Int8GOPS: 5, F32GFLOPS: 3}
	for _, typ := range []quant.Type{quant.Q4_0, quant.F32} {
		m := tinyOf(t, "llama-tiny", typ)
		c := m.Config()
		perLayer := c.Embedding*c.Heads*c.KeyDim*2 + 2*c.Embedding*c.KVHeads*c.KeyDim + 3*c.Embedding*c.FeedForward
		output := c.Embedding * c.Vocabulary
		size := func(values int) float64 {
			bytes, err := typ.RowBytes(values)
			if err != nil {
				t.Fatal(err)
			}
			return float64(bytes)
		}
		if typ == quant.Q4_0 { // synth keeps the output matrix in more bits
			w, err := m.Work(0, true)
			if err != nil {
				t.Fatal(err)
			}
			layers, err := m.Work(0, false)
			if err != nil {
				t.Fatal(err)
			}
			if got := float64(layers.WeightBytes); got != size(c.Layers*perLayer) {
				t.Fatalf("layers have %g bytes, want %g", got, size(c.Layers*perLayer))
			}
			if w.WeightBytes <= layers.WeightBytes {
				t.Fatalf("%+v with logits, %+v without", w, layers)
			}
		}
		th := &throughput{model: m}
		got, err := th.atBest(&speedTest{prompt: true, tokens: 10}, limit)
		if err != nil {
			t.Fatal(err)
		}
		ops := 2 * float64(10*c.Layers*perLayer+output)
		rate := limit.Int8GOPS
		if typ == quant.F32 {
			rate = limit.F32GFLOPS
		}
		if want := ops / rate / 1e9; !near(got, want, 1e-12) {
			t.Errorf("%s, prompt: %g s, want %g", typ, got, want)
		}
		got, err = th.atBest(&speedTest{tokens: 3, depth: 100}, limit)
		if err != nil {
			t.Fatal(err)
		}
		w, err := m.Work(0, true)
		if err != nil {
			t.Fatal(err)
		}
		row := float64(c.Layers * c.KVHeads * (c.KeyDim + c.ValueDim) * 2) // f16
		if want := (3*float64(w.WeightBytes) + (101+102+103)*row) / limit.ReadGBps / 1e9; !near(got, want, 1e-12) {
			t.Errorf("%s, generation: %g s, want %g", typ, got, want)
		}
		for _, speed := range []float64{7, 9} {
			test := &speedTest{tokens: 3, depth: 100}
			test.speeds.add(speed)
			test.speeds.add(speed + 2)
			th.tests = []*speedTest{test}
			rows, err := th.rows(limit)
			if err != nil {
				t.Fatal(err)
			}
			if want := got / 3 * (speed + 1); !near(rows[0].OfRoofline, want, 1e-12) || !near(rows[0].StdDev, math.Sqrt2, 1e-12) {
				t.Errorf("%+v, want %g of the roofline", rows[0], want)
			}
		}
	}
	if over(1, 0) != 0 {
		t.Error("without a limit there is no time at it")
	}
}

func TestDeviation(t *testing.T) {
	for want, series := range map[float64][]float64{0: {4}, math.Sqrt2: {1, 3}, 1: {1, 2, 3}} {
		var m moments
		for _, x := range series {
			m.add(x)
		}
		if got := m.deviation(); !near(got, want, 1e-12) {
			t.Errorf("%v: %g, want %g", series, got, want)
		}
	}
}

func TestThroughputRefuses(t *testing.T) {
	m := tiny(t)
	for name, c := range map[string]struct {
		o   ThroughputOptions
		say string
	}{
		"nothing":          {ThroughputOptions{}, "nothing to read"},
		"an empty prompt":  {ThroughputOptions{Prompts: []int{4, 0}}, "want 1 or more"},
		"a negative one":   {ThroughputOptions{Generate: []int{-4}}, "want 1 or more"},
		"a negative depth": {ThroughputOptions{Generate: []int{1}, Depths: []int{0, -1}}, "want 0 or more"},
		"too deep":         {ThroughputOptions{Generate: []int{1}, Depths: []int{math.MaxInt}}, "positions"},
		"too long":         {ThroughputOptions{Prompts: []int{math.MaxInt}}, "positions"},
		"negative repeats": {ThroughputOptions{Prompts: []int{1}, Repeats: -1}, "-1 runs"},
		"a small context":  {ThroughputOptions{Prompts: []int{5}, Depths: []int{10}, Context: 14}, "needs 15"},
		"a row type":       {ThroughputOptions{Prompts: []int{5}, Session: []mneme.SessionOption{mneme.WithKVType(quant.Q4_0)}}, "Q4_0"},
		"a buffer":         {ThroughputOptions{Prompts: []int{5}, ReadBytes: -1}, "-1 bytes"},
	} {
		if c.o.ReadBytes == 0 {
			c.o.ReadBytes = smallRead
		}
		if r, err := Throughput(t.Context(), m, c.o); err == nil || !strings.Contains(err.Error(), c.say) || r.Rows != nil {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
	if _, known := sysmem.Available(); known {
		o := ThroughputOptions{Generate: []int{1}, Depths: []int{math.MaxInt32 - 1}, ReadBytes: smallRead}
		if _, err := Throughput(t.Context(), m, o); !errors.Is(err, mneme.ErrMemory) {
			t.Errorf("a depth beyond memory: %v", err)
		}
	}
}

func TestThroughputStops(t *testing.T) {
	m := tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	var seen []int
	_, err := Throughput(ctx, m, ThroughputOptions{Generate: []int{20}, Repeats: 1000, ReadBytes: smallRead, Progress: func(done, _ int) {
		if seen = append(seen, done); done > 100 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(seen) == 0 || slices.Max(seen) > 200 {
		t.Errorf("error %v after %v", err, seen)
	}
}
