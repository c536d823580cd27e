package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randomGemm makes a product whose matrices have so many values more in each row than they need.
func randomGemm(rng *rand.Rand, transA, transB bool, m, n, k, more int, alpha, beta float32) *Gemm {
	g := &Gemm{TransA: transA, TransB: transB, M: m, N: n, K: k, Alpha: alpha, Beta: beta, LDA: k + more, LDB: n + more, LDC: n + more}
	aRows, bRows := m, k
	if transA {
		aRows, g.LDA = k, m+more
	}
	if transB {
		bRows, g.LDB = n, k+more
	}
	g.A, g.B, g.C = randoms(rng, aRows*g.LDA), randoms(rng, bRows*g.LDB), randoms(rng, m*g.LDC)
	// Matrices end with their last value.
	g.A, g.B, g.C = g.A[:max(len(g.A)-more, 0)], g.B[:max(len(g.B)-more, 0)], g.C[:max(len(g.C)-more, 0)]
	return g
}

func (g *Gemm) String() string {
	return fmt.Sprintf("[%d, %d]·[%d, %d], A transposed: %v, B transposed: %v, %v·AB + %v·C", g.M, g.K, g.K, g.N, g.TransA, g.TransB, g.Alpha, g.Beta)
}

// withC returns the product with another C.
func (g *Gemm) withC(c []float32) *Gemm {
	p := *g
	p.C = c
	return &p
}

func (g *Gemm) a(i, l int) float64 {
	if g.TransA {
		i, l = l, i
	}
	return float64(g.A[i*g.LDA+l])
}

func (g *Gemm) b(l, j int) float64 {
	if g.TransB {
		l, j = j, l
	}
	return float64(g.B[l*g.LDB+j])
}

// value returns what element (i, j) of C shall become, and the magnitude of what is added up for it.
func (g *Gemm) value(i, j int) (v, scale float64) {
	if g.Alpha != 0 {
		for l := range g.K {
			p := float64(g.Alpha) * g.a(i, l) * g.b(l, j)
			v, scale = v+p, scale+math.Abs(p)
		}
	}
	if g.Beta != 0 {
		p := float64(g.Beta) * float64(g.C[i*g.LDC+j])
		v, scale = v+p, scale+math.Abs(p)
	}
	return v, scale
}

// eachGemm calls do with products of all kinds, of sizes on both sides of tiles and of blocks.
func eachGemm(t *testing.T, seed uint64, do func(t *testing.T, impl *Implementation, rng *rand.Rand, g *Gemm)) {
	type shape struct{ m, n, k int }
	var shapes []shape
	for _, m := range []int{1, 2, 5, 6, 7, 12, 13, 25} {
		for _, n := range []int{1, 15, 16, 17, 63, 64, 65, 130} {
			for _, k := range []int{1, 3, 16, 33} {
				shapes = append(shapes, shape{m, n, k})
			}
		}
	}
	big := []shape{
		{3, 40, gemmDepth + 1}, {33, 17, 2*gemmDepth + 3}, {97, 70, 2*gemmDepth + 3}, {gemmRows + 1, 33, 70},
		{2, gemmCols + 1, 9}, {33, gemmCols + 70, 9}, {97, gemmCols + 270, 9},
	}
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(seed, 1))
		try := func(s shape, trans int) {
			alpha := []float32{1, 1, -0.75}[rng.IntN(3)]
			beta := []float32{0, 1, 0.5}[rng.IntN(3)]
			do(t, impl, rng, randomGemm(rng, trans&1 != 0, trans&2 != 0, s.m, s.n, s.k, []int{0, 3}[rng.IntN(2)], alpha, beta))
		}
		for trans := range 4 {
			for _, s := range shapes {
				try(s, trans)
			}
			for _, s := range big {
				try(s, trans)
			}
		}
	})
}

func TestGemm(t *testing.T) {
	eachGemm(t, 71, func(t *testing.T, impl *Implementation, rng *rand.Rand, g *Gemm) {
		if err := g.Check(); err != nil {
			t.Fatal(err)
		}
		c, name := guarded(g.C), g.String()
		impl.Gemm(g.withC(c), new(Scratch))
		for i := range g.M {
			for j := range g.N {
				want, scale := g.value(i, j)
				near(t, name, c[i*g.LDC+j], want, scale, floatTolerance)
			}
			for j := i*g.LDC + g.N; j < min((i+1)*g.LDC, len(c)); j++ {
				if c[j] != g.C[j] {
					t.Fatalf("%v: what is between rows %d and %d of C was written", g, i, i+1)
				}
			}
		}
		checkGuard(t, c)
	})
}

// TestGemmStaysWithinItsOperands, and gives the same beside a fence, in parts and by a team.
func TestGemmStaysWithinItsOperands(t *testing.T) {
	teams := []*Team{newTeam(1), newTeam(2), newTeam(3)}
	for _, team := range teams {
		defer team.Close()
	}
	eachGemm(t, 72, func(t *testing.T, impl *Implementation, rng *rand.Rand, g *Gemm) {
		if g.M*g.N*g.K < 1<<15 && rng.IntN(4) > 0 {
			return
		}
		want := append([]float32(nil), g.C...)
		impl.Gemm(g.withC(want), new(Scratch))
		sides(t, func(f *fences, start bool) {
			p := *g
			p.A, p.B, p.C = fenced(f, g.A, start), fenced(f, g.B, start), fenced(f, g.C, start)
			impl.Gemm(&p, new(Scratch))
			sameBits(t, g.String(), p.C, want)
		})
		parts := g.withC(append([]float32(nil), g.C...))
		row, col := rng.IntN(g.M+1), rng.IntN(g.N+1)
		for _, r := range [][2]int{{0, row}, {row, g.M}} {
			for _, c := range [][2]int{{0, col}, {col, g.N}} {
				if r[0] < r[1] && c[0] < c[1] {
					p := parts.part(r[0], r[1], c[0], c[1])
					impl.Gemm(&p, new(Scratch))
				}
			}
		}
		sameBits(t, g.String(), parts.C, want)
		for _, team := range teams {
			p := g.withC(append([]float32(nil), g.C...))
			if err := team.Gemm(impl, p); err != nil {
				t.Fatal(err)
			}
			sameBits(t, g.String(), p.C, want)
		}
	})
}

// TestGemmReadsOnlyWhatCounts: with Beta 0 the values of C, and with Alpha 0 those of A and B, do not matter.
func TestGemmReadsOnlyWhatCounts(t *testing.T) {
	nan := float32(math.NaN())
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(73, 1))
		for trans := range 4 {
			for _, k := range []int{0, 1, 20, 300} {
				for _, n := range []int{16, 21} {
					g := randomGemm(rng, trans&1 != 0, trans&2 != 0, 14, n, k, 1, 1, 0)
					for i := range g.C {
						g.C[i] = nan
					}
					impl.Gemm(g, new(Scratch))
					for i := range g.M {
						for j := range g.N {
							want, scale := g.value(i, j)
							near(t, g.String(), g.C[i*g.LDC+j], want, scale, floatTolerance)
						}
					}
					g = randomGemm(rng, trans&1 != 0, trans&2 != 0, 14, n, k, 1, 0, 0.5)
					for i := range g.A {
						g.A[i] = nan
					}
					before := append([]float32(nil), g.C...)
					impl.Gemm(g, new(Scratch))
					for i := range g.M {
						for j := range g.N {
							if got, want := g.C[i*g.LDC+j], before[i*g.LDC+j]/2; got != want {
								t.Fatalf("%v: %v, want %v", g, got, want)
							}
						}
					}
				}
			}
		}
	})
}

func TestGemmOfNothing(t *testing.T) {
	team := newTeam(2)
	defer team.Close()
	each(t, func(t *testing.T, impl *Implementation) {
		for _, s := range [][3]int{{0, 0, 0}, {0, 5, 3}, {5, 0, 3}} {
			g := &Gemm{M: s[0], N: s[1], K: s[2], Alpha: 1, LDA: 8, LDB: 8, LDC: 8, A: make([]float32, 64), B: make([]float32, 64)}
			impl.Gemm(g, new(Scratch))
			if err := team.Gemm(impl, g); err != nil {
				t.Fatal(err)
			}
		}
		g := &Gemm{M: 2, N: 3, LDB: 3, LDC: 3, Alpha: 1, Beta: 2, C: []float32{1, 2, 3, 4, 5, 6}}
		if err := team.Gemm(impl, g); err != nil || g.C[5] != 12 {
			t.Fatalf("a product of empty rows: %v, %v", g.C, err)
		}
	})
}

func TestGemmCheck(t *testing.T) {
	good := func() *Gemm {
		return &Gemm{M: 3, N: 4, K: 5, LDA: 6, LDB: 7, LDC: 8, A: make([]float32, 17), B: make([]float32, 32), C: make([]float32, 20)}
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(g *Gemm){
		"M below 0":      func(g *Gemm) { g.M = -1 },
		"N below 0":      func(g *Gemm) { g.N = -1 },
		"K below 0":      func(g *Gemm) { g.K = -1 },
		"A's rows":       func(g *Gemm) { g.LDA = 4 },
		"B's rows":       func(g *Gemm) { g.LDB = 3 },
		"C's rows":       func(g *Gemm) { g.LDC = 3 },
		"A":              func(g *Gemm) { g.A = g.A[:16] },
		"B":              func(g *Gemm) { g.B = g.B[:31] },
		"C":              func(g *Gemm) { g.C = g.C[:19] },
		"A transposed":   func(g *Gemm) { g.TransA = true },
		"B transposed":   func(g *Gemm) { g.TransB, g.B = true, g.B[:25] },
		"all of an int":  func(g *Gemm) { g.M, g.LDA, g.LDC = math.MaxInt, math.MaxInt, math.MaxInt },
		"no C":           func(g *Gemm) { g.C = nil },
		"stride below 0": func(g *Gemm) { g.LDC = -8 },
	} {
		g := good()
		spoil(g)
		if g.Check() == nil {
			t.Errorf("%s: no error", name)
		}
		team := newTeam(1)
		if team.Gemm(&generic, g) == nil {
			t.Errorf("%s: the team multiplies", name)
		}
		team.Close()
	}
}

func TestGemmTakesNoMemory(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(74, 1))
		var s Scratch
		for trans := range 4 {
			g := randomGemm(rng, trans&1 != 0, trans&2 != 0, 21, 37, 50, 0, 0.5, 1)
			if got := testing.AllocsPerRun(3, func() { impl.Gemm(g, &s) }); got != 0 {
				t.Errorf("%v: %v allocations", g, got)
			}
		}
	})
}

// FuzzGemm holds every implementation against the reference.
func FuzzGemm(f *testing.F) {
	f.Add(uint8(0), uint16(5), uint16(16), uint16(1), uint8(0), uint8(64), uint8(0), []byte{1, 2, 3})
	f.Add(uint8(1), uint16(17), uint16(63), uint16(300), uint8(3), uint8(1), uint8(64), []byte("any"))
	f.Add(uint8(2), uint16(200), uint16(3), uint16(7), uint8(1), uint8(64), uint8(7), []byte{0x80, 0xff})
	f.Add(uint8(3), uint16(7), uint16(77), uint16(33), uint8(9), uint8(0), uint8(64), []byte{0x7f})
	f.Fuzz(func(t *testing.T, trans uint8, m, n, k uint16, more, alpha, beta uint8, data []byte) {
		g := randomGemm(rand.New(rand.NewPCG(0, 0)), trans&1 != 0, trans&2 != 0, int(m%210)+1, int(n%140)+1, int(k%300)+1, int(more%20),
			float32(int8(alpha))/64, float32(int8(beta))/64)
		for i, x := range [][]float32{g.A, g.B, g.C} {
			for j, b := range bytesOf(data, len(x)) {
				x[j] = float32(int8(b+byte(i))) / 32
			}
		}
		if err := g.Check(); err != nil {
			t.Fatal(err)
		}
		want := append([]float32(nil), g.C...)
		generic.Gemm(g.withC(want), new(Scratch))
		for _, impl := range Implementations()[1:] {
			got := append([]float32(nil), g.C...)
			impl.Gemm(g.withC(got), new(Scratch))
			for i := range got { // no value is above 4, no factor above 2
				near(t, impl.Name, got[i], float64(want[i]), 2*16*float64(g.K)+8, 1e-6)
			}
		}
	})
}

// BenchmarkGemm times products in one thread: operations per second, beside those that the processor can begin at most.
func BenchmarkGemm(b *testing.B) {
	for _, impl := range Implementations() {
		b.Run(impl.Name+"/limit", func(b *testing.B) {
			var ops int
			for b.Loop() {
				ops, _ = impl.Limits.MulAdd(4096)
			}
			b.ReportMetric(float64(ops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
		for _, s := range [][3]int{{512, 512, 512}, {256, 2048, 768}, {768, 768, 64}, {24, 768, 768}, {1, 768, 768}} {
			for trans, name := range []string{"AB", "AᵀB", "ABᵀ", "AᵀBᵀ"} {
				rng := rand.New(rand.NewPCG(75, 1))
				g := randomGemm(rng, trans&1 != 0, trans&2 != 0, s[0], s[1], s[2], 0, 1, 0)
				s := new(Scratch)
				b.Run(fmt.Sprintf("%s/%s/%dx%dx%d", impl.Name, name, g.M, g.N, g.K), func(b *testing.B) {
					for b.Loop() {
						impl.Gemm(g, s)
					}
					b.ReportMetric(2*float64(g.M*g.N*g.K)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
