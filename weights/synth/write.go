package synth

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/internal/rowstream"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Write writes a random model of the given shape to a file that appears under its name when it is complete. Matrices
// are in type t, which package quant must be able to encode, or where their rows are no whole number of its blocks in
// the type that [weights.TypeForRow] says; normalizations, biases and expert routers are F32.
//
// Matrices are normal with deviation 1/sqrt(fan-in), normalizations close to 1. The bytes depend on shape, type and seed
// alone, not on the number of goroutines. Memory does not grow with the model. progress, if it is not nil, is called now
// and then with the number of bytes of tensor data written so far and in all. Write stops early with the context's
// error.
func Write(ctx context.Context, path string, shape Shape, t quant.Type, seed uint64,
	progress func(done, total int64)) error {
	f, err := declare(shape, t, seed)
	if err != nil {
		return err
	}
	return f.write(ctx, path, progress)
}

// WriteTo writes to out what Write writes to a file.
func WriteTo(ctx context.Context, out io.Writer, shape Shape, t quant.Type, seed uint64) error {
	f, err := declare(shape, t, seed)
	if err != nil {
		return err
	}
	return f.writeTo(ctx, out)
}

// random is what a file will hold: metadata, and tensors that are drawn when they are written.
type random struct {
	metadata *weights.Metadata
	tensors  []tensor
	kind     quant.Type // of matrices
	seed     uint64
}

// declare says what the file of a shape will hold.
func declare(shape Shape, t quant.Type, seed uint64) (*random, error) {
	if err := shape.validate(); err != nil {
		return nil, fmt.Errorf("synth: %w", err)
	}
	md, err := shape.metadata(t, seed)
	if err != nil {
		return nil, fmt.Errorf("synth: shape %q: %w", shape.Name, err)
	}
	return &random{metadata: md, tensors: shape.tensors(), kind: t, seed: seed}, nil
}

func (f *random) infos() []weights.TensorInfo {
	infos := make([]weights.TensorInfo, len(f.tensors))
	for i, x := range f.tensors {
		infos[i] = weights.TensorInfo{Name: x.name, Type: x.typeOf(f.kind), Shape: x.shape}
	}
	return infos
}

func (f *random) write(ctx context.Context, path string, progress func(done, total int64)) error {
	w, err := weights.Create(path, f.metadata, f.infos())
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := f.fill(ctx, w, progress); err != nil {
		return err
	}
	return w.Close()
}

func (f *random) writeTo(ctx context.Context, out io.Writer) error {
	w, err := weights.NewWriter(out, f.metadata, f.infos())
	if err != nil {
		return err
	}
	if err := f.fill(ctx, w, nil); err != nil {
		return err
	}
	return w.Close()
}

// fill draws and writes all tensors.
func (f *random) fill(ctx context.Context, w *weights.Writer, report func(done, total int64)) error {
	progress := &rowstream.Progress{Report: report, Total: w.DataBytes()}
	for _, x := range f.tensors {
		rowLen := x.shape[0]
		stream := rowstream.Stream{
			Type: x.typeOf(f.kind), RowLen: rowLen, Rows: x.elements() / rowLen,
			Fill: func(dst []float32, first int) error {
				x.draw(dst, first, f.seed)
				return nil
			},
		}
		err := w.WriteTensorFunc(x.name, func(out io.Writer) error {
			progress.Out = out
			return stream.Write(ctx, progress)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// draw fills dst with the tensor's rows from first on. Each row has a generator of its own, seeded by the model's seed,
// the tensor's name and the row, so that rows can be drawn in any order.
func (t tensor) draw(dst []float32, first int, seed uint64) {
	name := fnv.New64a()
	_, _ = io.WriteString(name, t.name) // a hash takes everything
	key := scramble(seed) ^ name.Sum64()
	pcg := rand.NewPCG(0, 0)
	rng := rand.New(pcg)
	rowLen := t.shape[0]
	for row := range len(dst) / rowLen {
		pcg.Seed(key, scramble(uint64(first+row)))
		for i := range rowLen {
			// The conversion of the product forbids a fused multiply-add, so that all machines round alike.
			dst[row*rowLen+i] = float32(t.mean + float64(rng.NormFloat64()*t.deviation))
		}
	}
}

// scramble spreads neighbouring numbers over all of uint64: the output function of SplitMix64 (Steele, Lea and Flood
// 2014, figure 17).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
