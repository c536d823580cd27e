package sample

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// candidatesOf returns candidates with these logits, ids by position.
func candidatesOf(logits []int) []Candidate {
	list := make([]Candidate, len(logits))
	for i, l := range logits {
		list[i] = Candidate{ID: int32(i), Logit: float64(l)}
	}
	return list
}

func sorted(list []Candidate) []Candidate {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Candidate) int {
		if a.Logit != b.Logit {
			return int(b.Logit - a.Logit)
		}
		return int(a.ID - b.ID)
	})
	return list
}

func TestSelectTop(t *testing.T) {
	check := func(t rapid.TB, list []Candidate, k int) {
		want := sorted(list)
		selectTop(list, k)
		k = min(k, len(list))
		if !slices.Equal(sorted(list[:k]), want[:k]) || !slices.Equal(sorted(list[k:]), want[k:]) {
			t.Fatalf("the first %d are %v, want %v in any order", k, list[:k], want[:k])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int{0, 3, 1000}).Draw(t, "greatest logit")
		logits := rapid.SliceOfN(rapid.IntRange(0, most), 0, 400).Draw(t, "logits")
		check(t, candidatesOf(logits), rapid.IntRange(0, 410).Draw(t, "k"))
	})
	// Orders that make bad pivots.
	for _, n := range []int{25, 100, 1000, 5000} {
		shapes := map[string]func(i int) int{
			"rising":  func(i int) int { return i },
			"falling": func(i int) int { return -i },
			"equal":   func(i int) int { return 7 },
			"organ":   func(i int) int { return min(i, n-i) },
			"valley":  func(i int) int { return max(i, n-i) },
			"saw":     func(i int) int { return i % 7 },
		}
		for _, shape := range shapes {
			logits := make([]int, n)
			for i := range logits {
				logits[i] = shape(i)
			}
			for _, k := range []int{1, 2, n / 3, n / 2, n - 1} {
				check(t, candidatesOf(logits), k)
			}
		}
	}
}

// TestLastWithin compares with a walk through the sorted list. Weights are small integers, so that sums are exact.
func TestLastWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := candidatesOf(rapid.SliceOfN(rapid.IntRange(0, 500), 1, 600).Draw(t, "logits"))
		total := 0.0
		for i := range list {
			list[i].Prob = float64(rapid.IntRange(0, 3).Draw(t, "weight"))
			total += list[i].Prob
		}
		r := reach{
			weight: float64(rapid.IntRange(-1, int(total)+1).Draw(t, "weight")),
			above:  rapid.Bool().Draw(t, "above"),
			count:  rapid.IntRange(0, len(list)+1).Draw(t, "count"),
		}
		order := sorted(list)
		want, sum := order[len(order)-1], 0.0
		for i, c := range order {
			sum += c.Prob
			if enough := sum > r.weight || (!r.above && sum == r.weight); enough && i+1 >= r.count {
				want = c
				break
			}
		}
		if got := lastWithin(list, r); got != want {
			t.Fatalf("last within %v is %v, want %v", r, got, want)
		}
	})
}

// TestTopOfRow: selection from the row and sorting the list give the same candidates for every k.
func TestTopOfRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := drawLogits(t, 2000)
		k := rapid.IntRange(1, 2100).Draw(t, "k")
		want, err := Top(row, len(row))
		if err != nil {
			t.Fatal(err)
		}
		var p pool
		if err := p.load(row); err != nil {
			t.Fatal(err)
		}
		p.top(k)
		p.enlist()
		if !p.sorted {
			sortCandidates(p.list)
		}
		if hasInfinite(row) { // Top has dropped all others
			want = want[:min(k, len(want))]
			p.list = p.list[:min(len(p.list), len(want))]
		}
		if got := ids(p.list); !slices.Equal(got, ids(want[:min(k, len(want))])) {
			t.Fatalf("top %d are %v, want %v", k, got, ids(want))
		}
	})
}
