package kvcache

import "testing"

func TestKnorm(t *testing.T) {
	s := newStream(t, "knorm", 40, 0)
	s.append(4)
	s.putKeys(0, []float32{3, 4}, []float32{0, 0}, []float32{-1, 1, 1, -1}, []float32{1e-20})
	if got, want := s.scores(0)[0], []float32{-5, 0, -2, -1e-20}; !near(got, want) || got[3] == 0 {
		t.Errorf("%v, want %v", got, want)
	}
}

// Of all rows but sinks, the ones with the shortest keys stay.
func TestKnormKeepsShortKeys(t *testing.T) {
	s := newStream(t, "knorm:sinks=0", 20, 0)
	s.read(60)
	norms := make([]float32, 60)
	rows := s.c.RowsOf(0, 0)
	keyNorms(&rows, norms)
	s.makeRoom(0, 0)
	longest := float32(0)
	kept := map[int32]bool{}
	for _, p := range s.keptBy(0, 0) {
		kept[p], longest = true, max(longest, norms[p])
	}
	for p, n := range norms {
		if !kept[int32(p)] && n < longest {
			t.Errorf("row %d, of length %v, is gone; one of length %v is kept", p, n, longest)
		}
	}
}
