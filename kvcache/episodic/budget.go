package episodic

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// AllocationRule is how budgets follow from σ.
type AllocationRule int

const (
	// Proportional is the paper's equation 10: with s_ℓ = 1 − σ_ℓ, layer ℓ gets s_ℓ^α / Σ_j s_j^α of all rows. What
	// is rounded away goes to the layers with the largest remainders, so that the sum is exact.
	Proportional AllocationRule = iota
	// MinMax is that of the authors' code: σ is scaled so that the least is 0 and the greatest 1, n_ℓ, and the layer
	// gets the whole rows of (1 − n_ℓ)^α / Σ_j (1 − n_j)^α. The most robust layer gets nothing, unless there is a
	// floor.
	MinMax
)

// Allocation says how rows are shared out among layers.
type Allocation struct {
	Rule AllocationRule

	// Alpha sharpens the difference between layers; with 0 all get the same. The paper finds 2 to 4 best; the scripts
	// beside the code have 1.1 and 1.3.
	Alpha float64

	// Floor raises every layer that has less to a quarter of the mean, at least one row.
	Floor bool

	// Exact makes the sum layers·mean where it would not be: the largest layers are cut down to one level until the
	// surplus of a floor is gone, and what MinMax rounded away goes to the largest remainders. Proportional is always
	// exact.
	Exact bool
}

// PaperAllocation is equation 10.
func PaperAllocation(alpha float64) Allocation { return Allocation{Rule: Proportional, Alpha: alpha} }

// ReleasedAllocation is what the authors' code does. The sum may exceed layers·mean.
func ReleasedAllocation(power float64) Allocation {
	return Allocation{Rule: MinMax, Alpha: power, Floor: true}
}

// grid is what shares are rounded to, so that rows do not hang on the last bits of a power.
const grid = 1 << 20

// Allocate returns the budget M_ℓ of every layer, in rows per KV head, whose mean over the layers is to be mean
// (EpiCache, arXiv 2509.17396, layer-wise budget allocation, equation 10). The less a layer's σ, the more rows it
// gets. Equal σ, or Alpha 0, give every layer the mean.
//
// It is an error if there is no layer, mean is less than 1 or too large to count, Alpha is negative or not finite, or
// a σ is not between -1 and 1.
func Allocate(sigma []float64, mean int, rule Allocation) ([]int, error) {
	switch {
	case len(sigma) == 0:
		return nil, fmt.Errorf("episodic: budgets for no layers")
	case mean < 1 || mean > math.MaxInt32 || mean > math.MaxInt/2/len(sigma):
		return nil, fmt.Errorf("episodic: %d rows per layer cannot be shared out among %d layers", mean, len(sigma))
	case !(rule.Alpha >= 0) || math.IsInf(rule.Alpha, 1):
		return nil, fmt.Errorf("episodic: budgets with an exponent of %v: want a finite number, not negative", rule.Alpha)
	case rule.Rule != Proportional && rule.Rule != MinMax:
		return nil, fmt.Errorf("episodic: there is no allocation rule %d", rule.Rule)
	}
	if err := checkSigma(sigma); err != nil {
		return nil, err
	}
	total := mean * len(sigma)
	quotas := shares(sigma, total, rule)
	budgets := make([]int, len(quotas))
	for l, q := range quotas {
		budgets[l] = int(q)
	}
	if rule.Floor {
		for l := range budgets {
			budgets[l] = max(budgets[l], 1, mean/4)
		}
	}
	if rule.Exact || rule.Rule == Proportional {
		giveRemainders(budgets, quotas, total)
		cutLargest(budgets, total)
	}
	return budgets, nil
}

// checkSigma returns an error that names the first layer whose σ is no mean of cosines.
func checkSigma(sigma []float64) error {
	for l, s := range sigma {
		if !(s >= -1 && s <= 1) {
			return fmt.Errorf("episodic: σ of layer %d is %v: want -1 to 1", l, s)
		}
	}
	return nil
}

// shares returns what each layer would get of total rows if rows could be divided.
func shares(sigma []float64, total int, rule Allocation) []float64 {
	least, greatest := slices.Min(sigma), slices.Max(sigma)
	weights := make([]float64, len(sigma))
	var sum float64
	for l, s := range sigma {
		// Both rules divide by the weight of the most sensitive layer, which changes no share of the paper's and
		// keeps every power within 0 to 1.
		base := 1.0
		switch {
		case least == greatest:
		case rule.Rule == Proportional:
			base = (1 - s) / (1 - least)
		default:
			base = 1 - (s-least)/(greatest-least)
		}
		weights[l] = math.Pow(base, rule.Alpha)
		sum += weights[l]
	}
	for l, w := range weights {
		weights[l] = math.Round(w*float64(total)/sum*grid) / grid
	}
	return weights
}

// giveRemainders adds the rows that total has and budgets, the whole parts of quotas, lack: one to each of the layers
// with the largest remainders. Where budgets add up to more, it adds none.
func giveRemainders(budgets []int, quotas []float64, total int) {
	missing := total
	for _, b := range budgets {
		missing -= b
	}
	order := make([]int, len(budgets))
	for l := range order {
		order[l] = l
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(quotas[b]-math.Floor(quotas[b]), quotas[a]-math.Floor(quotas[a]))
	})
	for i := 0; missing > 0; i = (i + 1) % len(order) {
		budgets[order[i]]++
		missing--
	}
}

// cutLargest lowers the largest budgets to one level where the sum exceeds total, so that it is total, which is not
// less than as many times the smallest. What the level leaves over goes to the first of those that were cut.
func cutLargest(budgets []int, total int) {
	// The level is the highest whose sum is not more than total.
	low, high := 0, slices.Max(budgets)+1
	for high-low > 1 {
		level := low + (high-low)/2
		if sumUpTo(budgets, level) <= total {
			low = level
		} else {
			high = level
		}
	}
	left := total - sumUpTo(budgets, low)
	for l, b := range budgets {
		if b <= low {
			continue
		}
		budgets[l] = low
		if left > 0 {
			budgets[l]++
			left--
		}
	}
}

// sumUpTo is the sum of budgets, each cut off at level.
func sumUpTo(budgets []int, level int) int {
	sum := 0
	for _, b := range budgets {
		sum += min(b, level)
	}
	return sum
}
