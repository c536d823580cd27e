package episodic

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSensitivity(t *testing.T) {
	// Two heads of three keys: cosines 1, 0, −1 and .6, 1, 1 (two keys of length 0).
	full := [][]float32{{1, 0, 2, 0, 3, 0}, {1, 0, 1, 1, 0, 0}}
	block := [][]float32{{9, 0, 0, 1, -1, 0}, {3, 4, 2, 2, 0, 0}}
	for _, c := range []struct {
		window int
		want   float64
	}{
		{PerToken, (1 + 0 - 1 + .6 + 1 + 1) / 6},
		// Windows of two tokens and one: (9 + 0)/√5√82, −1, (3 + 4)/√3√33, 1.
		{2, (9/math.Sqrt(5*82) - 1 + 7/math.Sqrt(3*33) + 1) / 4},
		{3, (6/math.Sqrt(14*83) + 7/math.Sqrt(3*33)) / 2},
		{ReleasedWindow, (6/math.Sqrt(14*83) + 7/math.Sqrt(3*33)) / 2},
		{math.MaxInt, (6/math.Sqrt(14*83) + 7/math.Sqrt(3*33)) / 2},
	} {
		s, err := NewSensitivity(3, c.window)
		if err != nil {
			t.Fatal(err)
		}
		for h := range full {
			if err := s.Add(1, full[h], block[h], 2); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Add(2, []float32{1, 2, 0}, []float32{1, 2, 1}, 3); err != nil {
			t.Fatal(err)
		}
		sigma := s.Sigma()
		if !math.IsNaN(sigma[0]) {
			t.Errorf("window %d: σ of a layer without keys is %v", c.window, sigma[0])
		}
		if math.Abs(sigma[1]-c.want) > 1e-12 || math.Abs(sigma[2]-5/math.Sqrt(30)) > 1e-12 {
			t.Errorf("window %d: σ is %v, want %v and %v", c.window, sigma[1:], c.want, 5/math.Sqrt(30))
		}
	}
}

// σ is 1 for the same keys whatever their scale, −1 for opposite ones, and a head may come in parts of whole windows.
func TestSensitivityOfScaledKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dim, tokens, window := rapid.IntRange(1, 5).Draw(t, "dim"), rapid.IntRange(1, 30).Draw(t, "tokens"), rapid.IntRange(1, 8).Draw(t, "window")
		number := rapid.Float32Range(-4, 4)
		full := rapid.SliceOfN(number, tokens*dim, tokens*dim).Draw(t, "full")
		block := rapid.SliceOfN(number, tokens*dim, tokens*dim).Draw(t, "block")
		for i := range full {
			if full[i] == 0 {
				full[i] = 1
			}
		}
		scaled, negative := make([]float32, len(full)), make([]float32, len(full))
		for i, v := range full {
			scaled[i], negative[i] = 2*v, -v
		}
		s, err := NewSensitivity(5, window)
		if err != nil {
			t.Fatal(err)
		}
		cut := rapid.IntRange(0, tokens/window).Draw(t, "windows before the cut") * window * dim
		for layer, pair := range [][2][]float32{{full, scaled}, {full, negative}, {full, block}, {full[:cut], block[:cut]}, {block, full}} {
			if err := s.Add(layer, pair[0], pair[1], dim); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Add(3, full[cut:], block[cut:], dim); err != nil {
			t.Fatal(err)
		}
		sigma := s.Sigma()
		if math.Abs(sigma[0]-1) > 1e-12 || math.Abs(sigma[1]+1) > 1e-12 {
			t.Fatalf("σ of the same keys is %v, of opposite ones %v", sigma[0], sigma[1])
		}
		if sigma[2] != sigma[3] || math.Abs(sigma[2]-sigma[4]) > 1e-12 || checkSigma(sigma) != nil {
			t.Fatalf("σ is %v at once, %v in parts, %v the other way round", sigma[2], sigma[3], sigma[4])
		}
	})
}

func TestSensitivityRefuses(t *testing.T) {
	for _, c := range [][2]int{{0, 1}, {-1, 1}, {1, 0}, {1, -5}} {
		if _, err := NewSensitivity(c[0], c[1]); err == nil {
			t.Errorf("%d layers, windows of %d: no error", c[0], c[1])
		}
	}
	s, err := NewSensitivity(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	nan := float32(math.NaN())
	for _, c := range []struct {
		layer       int
		full, block []float32
		dim         int
		want        string
	}{
		{2, []float32{1}, []float32{1}, 1, "no layer 2, the model has 2"},
		{-1, []float32{1}, []float32{1}, 1, "no layer -1"},
		{0, []float32{1}, []float32{1}, 0, "1 numbers are no keys of 0"},
		{0, []float32{1, 2, 3}, []float32{1, 2, 3}, 2, "3 numbers are no keys of 2"},
		{0, []float32{1, 2}, []float32{1}, 1, "2 numbers of full attention, 1 of blocks"},
		{0, []float32{1, 2, 3, nan}, []float32{1, 2, 3, 4}, 2, "token 1 is NaN in dimension 1"},
		{0, []float32{1, 2}, []float32{float32(math.Inf(1)), 2}, 2, "token 0 is +Inf in dimension 0"},
	} {
		if err := s.Add(c.layer, c.full, c.block, c.dim); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if sigma := s.Sigma(); !math.IsNaN(sigma[0]) || !math.IsNaN(sigma[1]) {
		t.Errorf("after errors σ is %v", sigma)
	}
	if err := s.Add(0, nil, nil, 4); err != nil {
		t.Error(err)
	}
	huge := []float32{math.MaxFloat32, math.MaxFloat32}
	if err := s.Add(0, huge, huge, 2); err != nil || math.Abs(s.Sigma()[0]-1) > 1e-12 {
		t.Errorf("extreme keys: σ %v, %v", s.Sigma()[0], err)
	}
}
