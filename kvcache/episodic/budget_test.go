package episodic

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Golden budgets of four layers.
func TestGoldenBudgets(t *testing.T) {
	sigma := []float64{.9, .8, .7, .6}
	const mean = 100
	plain := func(a Allocation) Allocation { a.Floor = false; return a }
	exact := func(a Allocation) Allocation { a.Exact = true; return a }
	for _, c := range []struct {
		name   string
		rule   Allocation
		quotas []float64 // before rounding, nil if not given
		want   []int
	}{
		{"paper, 1", PaperAllocation(1), []float64{40, 80, 120, 160}, []int{40, 80, 120, 160}},
		// A row is left over, and three remainders are a third: the first layer has it.
		{"paper, 2", PaperAllocation(2), []float64{13.3333, 53.3333, 120, 213.3333}, []int{14, 53, 120, 213}},
		{"paper, 0", PaperAllocation(0), []float64{100, 100, 100, 100}, []int{100, 100, 100, 100}},
		{"code, 1.1, no floor", plain(ReleasedAllocation(1.1)), nil, []int{0, 61, 132, 206}},
		{"code, 1.1", ReleasedAllocation(1.1), nil, []int{25, 61, 132, 206}},
		{"code, 2, no floor", plain(ReleasedAllocation(2)), []float64{0, 28.5714, 114.2857, 257.1429}, []int{0, 28, 114, 257}},
		{"code, 2", ReleasedAllocation(2), nil, []int{25, 28, 114, 257}},
		{"code, 0", ReleasedAllocation(0), nil, []int{100, 100, 100, 100}},
		{"code, 1.1, exact", exact(ReleasedAllocation(1.1)), nil, []int{25, 61, 132, 182}},
		{"code, 2, exact", exact(ReleasedAllocation(2)), nil, []int{25, 28, 114, 233}},
		{"code, 2, exact, no floor", exact(plain(ReleasedAllocation(2))), nil, []int{0, 29, 114, 257}},
		{"paper, 2, floor", Allocation{Rule: Proportional, Alpha: 2, Floor: true}, nil, []int{25, 53, 120, 202}},
	} {
		if c.quotas != nil {
			for l, q := range shares(sigma, mean*len(sigma), c.rule) {
				if math.Abs(q-c.quotas[l]) > 5e-5 {
					t.Errorf("%s: layer %d is to get %v, want %v", c.name, l, q, c.quotas[l])
				}
			}
		}
		if got, err := Allocate(sigma, mean, c.rule); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestCutLargest(t *testing.T) {
	for _, c := range []struct {
		in    []int
		total int
		want  []int
	}{
		{[]int{5, 9, 1, 9}, 24, []int{5, 9, 1, 9}},
		{[]int{5, 9, 1, 9}, 30, []int{5, 9, 1, 9}},
		{[]int{5, 9, 1, 9}, 23, []int{5, 9, 1, 8}},
		{[]int{5, 9, 1, 9}, 18, []int{5, 6, 1, 6}},
		{[]int{5, 9, 1, 9}, 14, []int{5, 4, 1, 4}},
		{[]int{5, 9, 1, 9}, 4, []int{1, 1, 1, 1}},
	} {
		got := slices.Clone(c.in)
		cutLargest(got, c.total)
		if !slices.Equal(got, c.want) {
			t.Errorf("%v cut to %d: %v, want %v", c.in, c.total, got, c.want)
		}
	}
}

func TestAllocateHoldsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sigma := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-1, 1), rapid.SampledFrom([]float64{-1, 0, .5, 1})), 1, 64).Draw(t, "sigma")
		mean := rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(1, 1<<20), rapid.Just(math.MaxInt32)).Draw(t, "mean")
		rule := Allocation{
			Rule:  rapid.SampledFrom([]AllocationRule{Proportional, MinMax}).Draw(t, "rule"),
			Alpha: rapid.OneOf(rapid.Float64Range(0, 8), rapid.SampledFrom([]float64{0, 1, 1e3, 1e300, math.MaxFloat64, 1e-300})).Draw(t, "alpha"),
			Floor: rapid.Bool().Draw(t, "floor"),
			Exact: rapid.Bool().Draw(t, "exact"),
		}
		budgets, err := Allocate(sigma, mean, rule)
		if err != nil {
			t.Fatal(err)
		}
		if len(budgets) != len(sigma) {
			t.Fatalf("%d budgets for %d layers", len(budgets), len(sigma))
		}
		sum, floor := 0, 0
		if rule.Floor {
			floor = max(1, mean/4)
		}
		for _, b := range budgets {
			if b < floor {
				t.Fatalf("budgets %v, the floor is %d", budgets, floor)
			}
			sum += b
		}
		total := mean * len(sigma)
		switch {
		case rule.Exact || rule.Rule == Proportional:
			if sum != total {
				t.Fatalf("budgets %v add up to %d, want %d", budgets, sum, total)
			}
		case !rule.Floor && (sum > total || sum <= total-len(sigma)):
			t.Fatalf("budgets %v add up to %d of %d", budgets, sum, total)
		}
		for i, s := range sigma {
			for j := range sigma {
				// Rounding may give a layer one row more than another with a σ as low, and then it is the first.
				if s <= sigma[j] && budgets[i] < budgets[j]-1 {
					t.Fatalf("σ %v and %v get %d and %d rows", s, sigma[j], budgets[i], budgets[j])
				}
				if s == sigma[j] && i < j && budgets[i] < budgets[j] {
					t.Fatalf("of layers with σ %v, %d gets %d rows and %d gets %d", s, i, budgets[i], j, budgets[j])
				}
			}
		}
		if slices.Min(sigma) == slices.Max(sigma) || rule.Alpha == 0 {
			for _, b := range budgets {
				if b != mean {
					t.Fatalf("budgets %v, want %d for each layer", budgets, mean)
				}
			}
		}
	})
}

// Equation 10 as it is written, against what is given out: less than a row away.
func TestAllocateIsEquationTen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sigma := rapid.SliceOfN(rapid.Float64Range(-1, .99), 2, 40).Draw(t, "sigma")
		mean, alpha := rapid.IntRange(1, 10000).Draw(t, "mean"), rapid.Float64Range(0, 6).Draw(t, "alpha")
		budgets, err := Allocate(sigma, mean, PaperAllocation(alpha))
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, s := range sigma {
			sum += math.Pow(1-s, alpha)
		}
		for l, s := range sigma {
			want := math.Pow(1-s, alpha) / sum * float64(len(sigma)*mean)
			if math.Abs(float64(budgets[l])-want) >= 1+1e-5 {
				t.Fatalf("layer %d gets %d rows, equation 10 says %v", l, budgets[l], want)
			}
		}
	})
}

func TestAllocateRefuses(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		sigma []float64
		mean  int
		rule  Allocation
		want  string
	}{
		{nil, 1, PaperAllocation(1), "no layers"},
		{[]float64{0}, 0, PaperAllocation(1), "0 rows per layer"},
		{[]float64{0}, -1, PaperAllocation(1), "-1 rows per layer"},
		{[]float64{0}, math.MaxInt, PaperAllocation(1), "rows per layer"},
		{[]float64{0, nan}, 1, PaperAllocation(1), "σ of layer 1 is NaN"},
		{[]float64{1.01}, 1, ReleasedAllocation(1), "σ of layer 0 is 1.01"},
		{[]float64{0, 0, -1.5}, 1, ReleasedAllocation(1), "σ of layer 2 is -1.5"},
		{[]float64{0}, 1, PaperAllocation(-1), "exponent of -1"},
		{[]float64{0}, 1, PaperAllocation(nan), "exponent of NaN"},
		{[]float64{0}, 1, ReleasedAllocation(math.Inf(1)), "exponent of +Inf"},
		{[]float64{0}, 1, Allocation{Rule: 2}, "no allocation rule 2"},
	} {
		if _, err := Allocate(c.sigma, c.mean, c.rule); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %d, %+v: error %v, want %q", c.sigma, c.mean, c.rule, err, c.want)
		}
	}
}
