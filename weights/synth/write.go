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
	md, tensors, infos, err := declare(shape, t, seed)
	if err != nil {
		return err
	}
	w, err := weights.Create(path, md, infos)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := fill(ctx, w, tensors, t, seed, progress); err != nil {
		return err
	}
	return w.Close()
}

// WriteTo writes to out what Write writes to a file.
func WriteTo(ctx context.Context, out io.Writer, shape Shape, t quant.Type, seed uint64) error {
	md, tensors, infos, err := declare(shape, t, seed)
	if err != nil {
		return err
	}
	w, err := weights.NewWriter(out, md, infos)
	if err != nil {
		return err
	}
	if err := fill(ctx, w, tensors, t, seed, nil); err != nil {
		return err
	}
	return w.Close()
}

// declare says what the file will hold.
func declare(shape Shape, t quant.Type, seed uint64) (*weights.Metadata, []tensor, []weights.TensorInfo, error) {
	if err := shape.validate(); err != nil {
		return nil, nil, nil, fmt.Errorf("synth: %w", err)
	}
	md, err := shape.metadata(t, seed)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("synth: shape %q: %w", shape.Name, err)
	}
	tensors := shape.tensors()
	infos := make([]weights.TensorInfo, len(tensors))
	for i, x := range tensors {
		infos[i] = weights.TensorInfo{Name: x.name, Type: x.typeOf(t), Shape: x.shape}
	}
	return md, tensors, infos, nil
}

// fill draws and writes all tensors.
func fill(ctx context.Context, w *weights.Writer, tensors []tensor, t quant.Type, seed uint64,
	report func(done, total int64)) error {
	progress := &rowstream.Progress{Report: report, Total: w.DataBytes()}
	for _, x := range tensors {
		rowLen := x.shape[0]
		stream := rowstream.Stream{
			Type: x.typeOf(t), RowLen: rowLen, Rows: x.elements() / rowLen,
			Fill: func(dst []float32, first int) error {
				x.draw(dst, first, seed)
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
