package sample

import (
	"hash/fnv"
	"math"
	"testing"
)

func ulps(got, want float64) float64 {
	return math.Abs(got-want) / (math.Nextafter(want, math.Inf(1)) - want)
}

func TestExpNegative(t *testing.T) {
	worst := 0.0
	for x := 0.0; x >= expLowest; x -= 0.00173 {
		worst = max(worst, ulps(expNegative(x), math.Exp(x)))
	}
	for x := 1e-300; x < 1; x *= 1.7 {
		worst = max(worst, ulps(expNegative(-x), math.Exp(-x)))
	}
	if worst > 3 { // package math itself is off by up to one
		t.Errorf("off by %v units in the last place, want at most 3", worst)
	}
	if expNegative(0) != 1 {
		t.Errorf("e^0 = %v", expNegative(0))
	}
	for _, x := range []float64{-708.0001, -1e6, -math.MaxFloat64, math.Inf(-1)} {
		if y := expNegative(x); y != 0 {
			t.Errorf("e^%v = %v, want 0", x, y)
		}
	}
}

func TestLogPositive(t *testing.T) {
	for x := 0x1p-1022; x < math.MaxFloat64/1.1; x *= 1.0137 {
		got, want := logPositive(x), math.Log(x)
		if math.Abs(got-want) > 2e-16*max(1, math.Abs(want)) && ulps(math.Abs(got), math.Abs(want)) > 3 {
			t.Fatalf("ln %v = %v, want %v", x, got, want)
		}
	}
	if logPositive(1) != 0 {
		t.Errorf("ln 1 = %v", logPositive(1))
	}
}

func TestPowers(t *testing.T) {
	for _, c := range []struct{ x, y float64 }{{0, 0}, {0, 1}, {1, 5}, {.5, 2}, {.3, .7}, {1e-320, 1}, {.9, 1e6}, {.1, 1e308}} {
		want := math.Pow(c.x, c.y)
		if got := powUnit(c.x, c.y); math.Abs(got-want) > 1e-14 {
			t.Errorf("%v^%v = %v, want %v", c.x, c.y, got, want)
		}
	}
	for _, c := range []struct {
		x    float64
		n    int
		want float64
	}{{1.75, 0, 1}, {1.75, 1, 1.75}, {1.75, 3, 5.359375}, {2, 10, 1024}, {1, 1 << 30, 1}, {2, 1 << 30, math.Inf(1)}} {
		if got := powInt(c.x, c.n); got != c.want {
			t.Errorf("%v^%v = %v, want %v", c.x, c.n, got, c.want)
		}
	}
}

// TestSameBitsEverywhere holds the bits of the functions to one value on every platform: a fused multiply-add anywhere
// in them would change it.
func TestSameBitsEverywhere(t *testing.T) {
	h := fnv.New64a()
	add := func(v float64) {
		bits := math.Float64bits(v)
		for range 8 {
			h.Write([]byte{byte(bits)})
			bits >>= 8
		}
	}
	for i := range 20000 {
		x := float64(i) / 32 // exact, as are the sums below: the test must not round either
		add(expNegative(-x))
		add(logPositive(0.25 + x))
		add(powUnit(1/(1+x), 0.7))
	}
	if got, want := h.Sum64(), uint64(0x52331cbc62a0f6f); got != want {
		t.Errorf("hash %#x, want %#x", got, want)
	}
}
