package weights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/mneme-lm/mneme/weights/internal/rowstream"
	"github.com/mneme-lm/mneme/weights/quant"
)

// QuantizeOptions are the ways in which Quantize can differ. The zero value is what most want.
type QuantizeOptions struct {
	// Pure gives the output matrix the target type too.
	Pure bool
	// Threads is the number of goroutines that encode; 0 means one for each processor. The result does not depend on it.
	Threads int
	// Progress, if it is set, is called now and then, from Quantize's own goroutine, with the number of bytes of tensor
	// data written so far and in all.
	Progress func(done, total int64)
}

// Quantized says what Quantize wrote.
type Quantized struct {
	Bytes int64       // the size of the file
	Types []TypeCount // by the number of the type
}

// Quantize writes the model src to a new file dst with its matrices in the target type, one that package quant encodes.
//
// Which tensors it re-encodes, and how:
//
//   - Tensors of one dimension, normalizations, expert routers, learned memories and very small tensors keep their type
//     and bytes.
//   - The matrix that makes the logits (output.weight, or token_embd.weight in a model without one) is Q6_K, unless the
//     target is Q8_0 or a float type.
//   - Every other matrix has the target type.
//   - Rows that are no whole number of the type's blocks take the type that TypeForRow says.
//
// That is llama.cpp's choice for its smallest mixes ("Q4_K_S") but for single layers that those raise by a step. A
// tensor that is already of its new type keeps its bytes; one that is in another block format is decoded and encoded
// again, which costs some accuracy each time. A tensor to be re-encoded whose type cannot be decoded is an error, and so
// is one with values that the new type cannot hold.
//
// The metadata are src's, but for general.file_type, general.quantization_version and, of a split model, what concerns
// the parts: dst is one file. It appears under its name when it is complete; it must not be one of src's files. Memory
// does not grow with the model. Quantize stops early with the context's error.
func Quantize(ctx context.Context, dst string, src *File, target quant.Type, opts QuantizeOptions) (*Quantized, error) {
	if err := refuseOverwrite(dst, src); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	md, err := quantizedMetadata(src.Metadata(), target)
	if err != nil {
		return nil, err
	}
	infos, err := plan(src, newMix(src, target, opts.Pure))
	if err != nil {
		return nil, err
	}
	w, err := Create(dst, md, infos)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	progress := &rowstream.Progress{Report: opts.Progress, Total: w.DataBytes()}
	for i, t := range src.Tensors() {
		err := w.WriteTensorFunc(t.Name, func(out io.Writer) error {
			progress.Out = out
			return reencode(ctx, progress, t, infos[i].Type, opts.Threads)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return summarize(dst, infos, w.sizes)
}

// refuseOverwrite fails if dst is one of src's files, by whatever name.
func refuseOverwrite(dst string, src *File) error {
	to, err := os.Stat(dst)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, path := range src.Paths() {
		if from, err := os.Stat(path); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s is the model that is being read: name another file", dst)
		}
	}
	return nil
}

func quantizedMetadata(md *Metadata, target quant.Type) (*Metadata, error) {
	md = md.Clone()
	for _, key := range []string{keySplitNo, keySplitCount, keySplitTensors} {
		md.Delete(key)
	}
	return md, SetFileType(md, target)
}

// plan declares the new tensors, and finds those that cannot be made before anything is written.
func plan(src *File, m mix) ([]TensorInfo, error) {
	infos := make([]TensorInfo, len(src.Tensors()))
	for i, t := range src.Tensors() {
		want := m.typeOf(t)
		if want != t.Type && !t.Type.CanDecode() {
			return nil, fmt.Errorf("weights: tensor %s: type %s cannot be decoded, and so not be turned into %s",
				quote(t.Name), t.Type, want)
		}
		infos[i] = TensorInfo{Name: t.Name, Type: want, Shape: t.Shape}
		n, err := dataBytes(t.Type, t.Shape)
		if err != nil || n != len(t.Data) {
			return nil, fmt.Errorf("weights: tensor %s: its data are gone: the model is closed", quote(t.Name))
		}
	}
	return infos, nil
}

// reencode writes t's values in type want.
func reencode(ctx context.Context, out io.Writer, t *Tensor, want quant.Type, threads int) error {
	if want == t.Type {
		return copyBytes(ctx, out, t.Data)
	}
	return rowstream.Stream{
		Type: want, RowLen: t.RowLen(), Rows: t.Rows(), Workers: threads,
		Fill: func(dst []float32, first int) error { return t.decodeRows(dst, first) },
	}.Write(ctx, out)
}

// copyBytes writes data in pieces, so that progress shows and the context is heard.
func copyBytes(ctx context.Context, out io.Writer, data []byte) error {
	const pieceBytes = 1 << 20
	for piece := range slices.Chunk(data, pieceBytes) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := out.Write(piece); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func summarize(path string, infos []TensorInfo, sizes []int) (*Quantized, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	counts := typeCounts{}
	for i, t := range infos {
		counts.add(t.Type, sizes[i])
	}
	return &Quantized{Bytes: info.Size(), Types: counts.sorted()}, nil
}
