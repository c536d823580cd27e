package train

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"

	"github.com/mneme-lm/mneme/kernels"
)

// Compute is what training computes with: an implementation of the kernels, and a team of threads.
type Compute struct {
	Impl *kernels.Implementation
	Team *kernels.Team
}

// kernelsBLAS is gonum's BLAS with the product of float32 matrices replaced. Gorgonia asks for all of BLAS, in four
// number types; the rest of it is not worth replacing, since graphs of this package use none of it.
type kernelsBLAS struct {
	gonum.Implementation
	c Compute
}

// UseKernels makes Gorgonia, in the whole program, compute products of float32 matrices with c, until c's team is closed.
// Undo gives back what was used before.
func UseKernels(c Compute) (undo func()) {
	before := gorgonia.WhichBLAS()
	gorgonia.Use(kernelsBLAS{c: c})
	return func() { gorgonia.Use(before) }
}

// Sgemm computes C = alpha·op(A)·op(B) + beta·C of matrices that lie in rows. It panics as gonum's does if they have no room
// for their shapes: the interface leaves no other way to say so, and the tensor library checks shapes before.
func (b kernelsBLAS) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, bb []float32, ldb int, beta float32, c []float32, ldc int) {
	err := b.c.Team.Gemm(b.c.Impl, &kernels.Gemm{
		TransA: tA != blas.NoTrans, TransB: tB != blas.NoTrans, M: m, N: n, K: k,
		Alpha: alpha, A: a, LDA: lda, B: bb, LDB: ldb, Beta: beta, C: c, LDC: ldc,
	})
	if err != nil {
		panic(fmt.Sprintf("train: %v", err))
	}
}
