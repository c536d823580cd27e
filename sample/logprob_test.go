package sample

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestLogProb(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := drawLogits(t, 500)
		o := newOracle(row)
		got := make(map[int32]float64)
		for _, c := range o.list {
			got[c.ID] = math.Log(c.Prob)
		}
		for id := range row {
			lp, err := LogProb(row, int32(id))
			if err != nil {
				t.Fatal(err)
			}
			want, ok := got[int32(id)]
			if !ok {
				want = math.Inf(-1)
			}
			if lp != want && !(math.Abs(lp-want) < 1e-9*max(1, math.Abs(want))) && !(math.IsInf(want, -1) && lp < -700) {
				t.Fatalf("ln p of token %d is %v, want %v", id, lp, want)
			}
		}
	})
	if lp, err := LogProb([]float32{inf(1), 0, inf(1)}, 2); err != nil || math.Abs(lp-math.Log(.5)) > 1e-15 {
		t.Errorf("two at +Inf: %v, %v", lp, err)
	}
	if lp, err := LogProb([]float32{inf(1), 0}, 1); err != nil || !math.IsInf(lp, -1) {
		t.Errorf("beside +Inf: %v, %v", lp, err)
	}
	if _, err := LogProb([]float32{1}, 1); err == nil {
		t.Error("id beyond the row: no error")
	}
	if _, err := LogProb([]float32{1}, -1); err == nil {
		t.Error("negative id: no error")
	}
	if _, err := LogProb([]float32{nan(), inf(-1)}, 0); !errors.Is(err, ErrNoToken) {
		t.Errorf("error %v", err)
	}
}

func TestArgmax(t *testing.T) {
	for _, c := range []struct {
		row  []float32
		want int32
	}{
		{[]float32{1}, 0}, {[]float32{1, 2, 2}, 1}, {[]float32{nan(), -5, nan()}, 1}, {[]float32{1, inf(1), inf(1)}, 1},
		{[]float32{inf(-1), -math.MaxFloat32}, 1},
	} {
		if got, err := Argmax(c.row); err != nil || got != c.want {
			t.Errorf("argmax of %v is %d, %v, want %d", c.row, got, err, c.want)
		}
	}
	for _, row := range [][]float32{nil, {nan()}, {inf(-1), nan()}} {
		if _, err := Argmax(row); !errors.Is(err, ErrNoToken) {
			t.Errorf("argmax of %v: error %v", row, err)
		}
	}
}

func TestTop(t *testing.T) {
	row := rowOf(.1, .2, .3, .4)
	got, err := Top(row, 2)
	if err != nil || !slices.Equal(ids(got), []int32{3, 2}) || math.Abs(got[0].Prob-.4) > 1e-6 || math.Abs(got[1].Prob-.3) > 1e-6 {
		t.Errorf("top 2 are %v, %v", got, err)
	}
	if got[0].Logit != float64(row[3]) {
		t.Errorf("logit %v, want %v", got[0].Logit, row[3])
	}
	got, err = Top([]float32{1, nan(), 2, inf(-1), 2}, 100)
	if err != nil || !slices.Equal(ids(got), []int32{2, 4, 0}) {
		t.Errorf("top of all are %v, %v", got, err)
	}
	if _, err := Top(row, 0); err == nil {
		t.Error("top 0: no error")
	}
	if _, err := Top(nil, 1); err == nil {
		t.Error("no logits: no error")
	}
	if _, err := Top([]float32{nan()}, 1); !errors.Is(err, ErrNoToken) {
		t.Errorf("error %v", err)
	}
}
