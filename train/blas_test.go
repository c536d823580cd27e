package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// computes returns every implementation of this machine with a team.
func computes(t testing.TB) []Compute {
	t.Helper()
	var all []Compute
	for _, impl := range kernels.Implementations() {
		team := kernels.NewTeam(0)
		t.Cleanup(team.Close)
		all = append(all, Compute{impl, team})
	}
	return all
}

func someValues(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// Gorgonia's product of transposed and plain matrices, in the shapes of layers, is gonum's.
func TestProductsOfGorgonia(t *testing.T) {
	for _, c := range computes(t) {
		for _, s := range [][3]int{{1, 1, 1}, {7, 5, 3}, {64, 384, 128}, {33, 130, 352}, {128, 704, 65}} {
			m, n, k := s[0], s[1], s[2]
			r := rand.New(rand.NewPCG(uint64(m), uint64(n)))
			for _, transposed := range []bool{false, true} {
				a, b := someValues(r, m*k), someValues(r, k*n)
				want := make([]float32, m*n)
				tB, ldb, shape := blas.NoTrans, n, tensor.Shape{k, n}
				if transposed {
					tB, ldb, shape = blas.Trans, k, tensor.Shape{n, k}
				}
				gonum.Implementation{}.Sgemm(blas.NoTrans, tB, m, n, k, 1, a, k, b, ldb, 0, want, n)
				undo := UseKernels(c)
				x, y := tensor.New(tensor.WithShape(m, k), tensor.WithBacking(a)), tensor.New(tensor.WithShape(shape...), tensor.WithBacking(b))
				if transposed {
					if err := y.T(); err != nil {
						t.Fatal(err)
					}
				}
				z, err := tensor.MatMul(x, y)
				undo()
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range z.Data().([]float32) {
					if math.Abs(float64(v-want[i])) > 2e-5*math.Sqrt(float64(k)) {
						t.Fatalf("%s, %v, transposed %v: element %d is %v, want %v", c.Impl.Name, s, transposed, i, v, want[i])
					}
				}
			}
		}
	}
}

func TestUseKernelsIsUndone(t *testing.T) {
	before := gorgonia.WhichBLAS()
	undo := UseKernels(computes(t)[0])
	if _, ok := gorgonia.WhichBLAS().(kernelsBLAS); !ok {
		t.Errorf("Gorgonia uses %T", gorgonia.WhichBLAS())
	}
	undo()
	if gorgonia.WhichBLAS() != before {
		t.Errorf("Gorgonia uses %T, and %T before", gorgonia.WhichBLAS(), before)
	}
}

// BenchmarkSgemm measures the products of a step of 2,048 tokens: m rows, n results, sums of k.
func BenchmarkSgemm(b *testing.B) {
	impl, err := kernels.Choose("")
	if err != nil {
		b.Fatal(err)
	}
	type engine interface {
		Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int)
	}
	for _, p := range []struct {
		name    string
		tA, tB  blas.Transpose
		m, n, k int
	}{
		{"qkv", blas.NoTrans, blas.Trans, 2048, 384, 128},
		{"gate+up", blas.NoTrans, blas.Trans, 2048, 704, 128},
		{"down", blas.NoTrans, blas.Trans, 2048, 128, 352},
		{"gate+up-to-input", blas.NoTrans, blas.NoTrans, 2048, 128, 704},
		{"gate+up-to-weights", blas.Trans, blas.NoTrans, 704, 128, 2048},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		x, y, z := someValues(r, p.m*p.k), someValues(r, p.k*p.n), make([]float32, p.m*p.n)
		lda, ldb := p.k, p.n
		if p.tA == blas.Trans {
			lda = p.m
		}
		if p.tB == blas.Trans {
			ldb = p.k
		}
		run := func(name string, e engine) {
			b.Run(p.name+"/"+name, func(b *testing.B) {
				for b.Loop() {
					e.Sgemm(p.tA, p.tB, p.m, p.n, p.k, 1, x, lda, y, ldb, 0, z, p.n)
				}
				b.ReportMetric(2*float64(p.m*p.n*p.k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
			})
		}
		run("gonum", gonum.Implementation{})
		for threads := 1; threads <= runtime.GOMAXPROCS(0); threads++ {
			team := kernels.NewTeam(threads)
			run(fmt.Sprintf("kernels-threads=%d", threads), kernelsBLAS{c: Compute{impl, team}})
			team.Close()
		}
	}
}
