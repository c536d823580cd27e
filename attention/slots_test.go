package attention

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
)

// angles are the cosines and sines of RoPE at a position, for keys of dim dimensions.
func angles(position, dim int) (cos, sin []float32) {
	for i := range dim / 2 {
		a := float64(position) * math.Pow(10000, -2*float64(i)/float64(dim))
		cos, sin = append(cos, float32(math.Cos(a))), append(sin, float32(math.Sin(a)))
	}
	return cos, sin
}

// opened are the positions of the first rows of opened blocks, which are given by age.
func (s Slots) opened(blocks ...int) (first []int) {
	for r, b := range blocks {
		first = append(first, s.Row(r, b))
	}
	return first
}

func TestSlots(t *testing.T) {
	const b = 51
	for _, c := range []struct {
		stored, open int
		slots        []int // of the landmarks
		start        int   // in slots
		opened       [][]int
		rows         [][]int // in slots
	}{
		{
			10, 2, []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 2}, 3,
			[][]int{{3, 9}, {8, 9}, {3, 5}, {0, 7}, {0, 8}, {7, 8}},
			[][]int{{0, 2}, {1, 2}, {0, 1}, {0, 1}, {0, 2}, {0, 2}},
		},
		{
			7, 3, []int{0, 0, 0, 0, 1, 2, 3}, 4,
			[][]int{{4, 5, 6}, {0, 1, 2}, {3, 5, 6}, {3, 4, 6}, {0, 3, 4}, {0, 3, 6}},
			[][]int{{1, 2, 3}, {0, 1, 2}, {0, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 3}},
		},
		{3, 2, []int{0, 1, 2}, 3, [][]int{{1, 2}, {0, 2}, {0, 1}}, [][]int{{1, 2}, {0, 2}, {0, 2}}},
		{2, 2, []int{0, 1}, 2, [][]int{{0, 1}}, [][]int{{0, 1}}},
		{1, 2, []int{0}, 1, [][]int{{0}}, [][]int{{0}}},
		{0, 2, nil, 0, [][]int{{}}, [][]int{nil}},
		{4, 1, []int{0, 0, 0, 1}, 2, [][]int{{0}, {2}, {3}}, [][]int{{0}, {0}, {1}}},
		{4, 0, []int{0, 0, 0, 0}, 1, [][]int{{}}, [][]int{nil}},
	} {
		s := Slots{Stored: c.stored, Open: c.open, Block: b}
		var slots, landmarks, want []int
		for j := range c.stored {
			slots, landmarks, want = append(slots, s.Slot(j)), append(landmarks, s.Landmark(j)), append(want, c.slots[j]*b+b-1)
		}
		if !slices.Equal(slots, c.slots) || !slices.Equal(landmarks, want) || s.Start() != c.start*b || s.Slots() != c.start {
			t.Errorf("%+v: landmarks in slots %v at %v, start %d, want %v at %v, start %d", s, slots, landmarks, s.Start(), c.slots, want, c.start*b)
		}
		for i, blocks := range c.opened {
			rows := s.opened(blocks...)
			for r := range rows {
				if rows[r]%b != 0 || rows[r]/b != c.rows[i][r] {
					t.Errorf("%+v, opened %v: rows at %v, want slots %v", s, blocks, rows, c.rows[i])
				}
			}
		}
	}
}

// Where no more blocks are stored than are opened, or one more and the newest are opened, all positions are the true ones.
func TestSlotsOfAShortText(t *testing.T) {
	for open := range 6 {
		for stored := range open + 2 {
			s := Slots{Stored: stored, Open: open, Block: 7}
			if s.Start() != stored*7 {
				t.Errorf("%+v: start %d", s, s.Start())
			}
			closed := stored - s.Opened()
			for j := range stored {
				if s.Landmark(j) != j*7+6 {
					t.Errorf("%+v: landmark %d is at %d", s, j, s.Landmark(j))
				}
				if j >= closed && s.Row(j-closed, j) != j*7 {
					t.Errorf("%+v: block %d begins at %d", s, j, s.Row(j-closed, j))
				}
			}
		}
	}
}

// What must hold of any choice of blocks: opened ones lie before the start, in slots of their own, in their order; the
// newest have their true distance, as their landmarks have; a recent block lies as many slots later than its landmark was
// scored in as newer ones stay closed, an old one in its landmark's slot or later.
func TestSlotsOfAnyChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Slots{Stored: rapid.IntRange(1, 40).Draw(t, "stored"), Open: rapid.IntRange(1, 10).Draw(t, "open"), Block: rapid.IntRange(1, 64).Draw(t, "block")}
		k := s.Opened()
		scores := rapid.SliceOfN(rapid.Float32Range(0, 1), s.Stored, s.Stored).Draw(t, "scores")
		blocks := new(Selector).Top(nil, scores, s.Open)
		if len(blocks) != k {
			t.Fatalf("%d blocks opened, want %d", len(blocks), k)
		}
		before := -s.Block
		for r, block := range blocks {
			j := int(block)
			at := s.Row(r, j)
			if at < before+s.Block || at+s.Block > s.Start() {
				t.Fatalf("%+v, opened %v: block %d lies at %d, the one before at %d, the start is %d", s, blocks, j, at, before, s.Start())
			}
			before = at
			slot := at / s.Block
			if j < s.Stored-k {
				if s.Slot(j) != 0 || slot != r {
					t.Fatalf("%+v, opened %v: old block %d lies in slot %d, its landmark in %d", s, blocks, j, slot, s.Slot(j))
				}
				continue
			}
			if trueDistance := (s.Stored - j) * s.Block; s.Start()-(s.Landmark(j)+1-s.Block) != trueDistance {
				t.Fatalf("%+v: landmark of recent block %d at %d, start %d", s, j, s.Landmark(j), s.Start())
			}
			closed := (s.Stored - 1 - j) - (k - 1 - r)
			if slot-s.Slot(j) != closed {
				t.Fatalf("%+v, opened %v: recent block %d lies in slot %d, its landmark in %d, %d newer are closed", s, blocks, j, slot, s.Slot(j), closed)
			}
		}
	})
}

// Only differences of positions matter: scores of landmarks in their slots stay what they are when all slots are
// moved, and those of the newest blocks are what they are at their true positions.
func TestSlotsMoved(t *testing.T) {
	const dim = 16
	rng := rand.New(rand.NewPCG(6, 6))
	s := Slots{Stored: 30, Open: 4, Block: 9}
	q, keys := randoms(rng, dim), make([][]float32, s.Stored)
	for j := range keys {
		keys[j] = randoms(rng, dim)
	}
	for _, impl := range kernels.Implementations() {
		score := func(j, query, key int) float64 {
			q, k := slices.Clone(q), slices.Clone(keys[j])
			cos, sin := angles(query, dim)
			impl.RopeHalves(q, cos, sin)
			cos, sin = angles(key, dim)
			impl.RopeHalves(k, cos, sin)
			return float64(impl.Dot(q, k))
		}
		for j := range keys {
			unmoved := score(j, s.Start()+3, s.Landmark(j))
			for _, by := range []int{1, 9, 500} {
				if moved := score(j, s.Start()+3+by, s.Landmark(j)+by); !near(moved, unmoved, 2e-4) {
					t.Fatalf("%s, block %d: score %v, moved by %d %v", impl.Name, j, unmoved, by, moved)
				}
			}
			atTrue := score(j, s.Stored*s.Block+3, j*s.Block+s.Block-1)
			if recent := j >= s.Stored-s.Open-1; near(atTrue, unmoved, 2e-4) != recent { // the newest of slot 0 as well
				t.Fatalf("%s, block %d: score %v, at its true position %v", impl.Name, j, unmoved, atTrue)
			}
		}
	}
}
