package testdata

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Golden is what the program that trained a prototype made of a document.
type Golden struct {
	Tokens []int32
	// Top are the largest logits, the largest of all first, after each row of the document, or after each of the last ones:
	// pairs of an id and its logit.
	Top [][][2]float64
}

// goldenTolerance is how far logits may be from those of that program, which are given with four digits.
const goldenTolerance = 2e-3

// PrototypeGolden reads one of the documents of ../shared/prototypes.
func PrototypeGolden(tb testing.TB, name string) Golden {
	tb.Helper()
	data, err := os.ReadFile(Shared(tb, "prototypes/golden.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		tb.Fatal(err)
	}
	var g Golden
	if err := json.Unmarshal(all[name], &g); err != nil || len(g.Tokens) == 0 || len(g.Top) == 0 {
		tb.Fatalf("%s: %d rows of %d tokens, %v", name, len(g.Top), len(g.Tokens), err)
	}
	return g
}

// CheckTop compares the logits of the last rows, of which there may be more than Top has, and holds that the largest is the
// largest.
func CheckTop[T float32 | float64](tb testing.TB, how string, logits [][]T, g Golden) {
	tb.Helper()
	first := len(logits) - len(g.Top)
	if first < 0 {
		tb.Fatalf("%s: %d rows of logits, want %d", how, len(logits), len(g.Top))
	}
	worst := 0.0
	for i, top := range g.Top {
		row := logits[first+i]
		for _, entry := range top {
			d := math.Abs(float64(row[int(entry[0])]) - entry[1])
			if !(d <= goldenTolerance) {
				tb.Fatalf("%s: row %d: token %v: logit %v, want %v", how, first+i, entry[0], row[int(entry[0])], entry[1])
			}
			worst = max(worst, d)
		}
		for id, logit := range row {
			if !(float64(logit) <= top[0][1]+goldenTolerance) {
				tb.Fatalf("%s: row %d: token %d has logit %v, beyond the largest, %v", how, first+i, id, logit, top[0][1])
			}
		}
	}
	tb.Logf("%s: largest difference %.2g", how, worst)
}
