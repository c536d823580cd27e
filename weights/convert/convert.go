// Package convert writes models that other programs have left behind as GGUF files.
//
// [Convert] finds out by itself what it is given. Nothing is guessed: a layout, a kind of model, a member of a
// configuration or a tensor that the package does not know is an error that names it.
package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/internal/rowstream"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Options are the ways in which Convert can differ. The zero value keeps every bit of models in F32, F16 or BF16.
type Options struct {
	// Type is that of the matrices: F32, F16 or BF16. Tensors of one dimension are F32.
	Type quant.Type
	// Threads is the number of goroutines that encode; 0 means one for each processor. The result does not depend on it.
	Threads int
	// Progress, if it is set, is called now and then, from Convert's own goroutine, with the number of bytes of tensor data
	// written so far and in all.
	Progress func(done, total int64)
}

// Converted says what Convert wrote.
type Converted struct {
	Bytes int64               // the size of the file
	Types []weights.TypeCount // by the number of the type
}

// types are those that a model may be written in. Block formats are what weights.Quantize is for, which knows which
// tensors bear them.
var types = []quant.Type{quant.F32, quant.F16, quant.BF16}

// Types returns the types that Options may name.
func Types() []quant.Type { return slices.Clone(types) }

// Convert writes the model src to a new file dst. src is one of these:
//
//   - a folder as Hugging Face's transformers leave it, with config.json and the weights in one safetensors file or in
//     several with an index, of the model_type llama, qwen2 or qwen3, and with the tokenizer of tokenizer.json, if there
//     is one: byte pair encoding of bytes, or of characters as SentencePiece has it;
//   - the safetensors file of a prototype, whose metadata have its configuration, with its words, if there are any, in
//     vocab.json beside it;
//   - a checkpoint of llama2.c in the first of its formats, with its vocabulary, if there is one, in tokenizer.bin beside
//     it.
//
// The file appears under its name when it is complete; it must not be one of src's. Memory does not grow with the model.
// Convert stops early with the context's error.
func Convert(ctx context.Context, dst, src string, opts Options) (*Converted, error) {
	if !slices.Contains(types, opts.Type) {
		return nil, fmt.Errorf("convert: a model cannot be converted to %s, only to one of %v", opts.Type, types)
	}
	m, err := open(src)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	defer func() { _ = m.close() }() // it was only read
	if err := refuseOverwrite(dst, m.paths); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	if err := m.write(ctx, dst, opts); err != nil {
		return nil, err
	}
	return summarize(dst)
}

// open finds out what src is.
func open(src string) (*input, error) {
	info, err := os.Stat(src)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openHF(src)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", src)
	}
	begin, err := beginning(src)
	switch {
	case err != nil:
		return nil, err
	case strings.HasPrefix(begin, "GGUF"):
		return nil, fmt.Errorf("%s: a GGUF file already", src)
	case filepath.Ext(src) == ".safetensors" || len(begin) == 9 && begin[8] == '{': // after the length of the header
		return openPrototype(src)
	}
	return openLlama2c(src)
}

// beginning returns the first bytes of a file.
func beginning(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	begin, err := io.ReadAll(io.LimitReader(f, 9))
	return string(begin), err
}

// readFile reads a file of up to most bytes.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: more than %d bytes", path, most)
	}
	return text, err
}

// refuseOverwrite fails if dst is one of the files that are read, by whatever name.
func refuseOverwrite(dst string, sources []string) error {
	to, err := os.Stat(dst)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, path := range sources {
		if from, err := os.Stat(path); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s is the model that is being read: name another file", dst)
		}
	}
	return nil
}

func (m *input) write(ctx context.Context, dst string, opts Options) error {
	if err := weights.SetFileType(&m.md, opts.Type); err != nil {
		return err
	}
	infos := make([]weights.TensorInfo, len(m.tensors))
	for i, t := range m.tensors {
		infos[i] = weights.TensorInfo{Name: t.name, Type: t.typeOf(opts.Type), Shape: t.shape}
	}
	w, err := weights.Create(dst, &m.md, infos)
	if err != nil {
		return err
	}
	defer w.Abort()
	progress := &rowstream.Progress{Report: opts.Progress, Total: w.DataBytes()}
	for i, t := range m.tensors {
		stream := rowstream.Stream{Type: infos[i].Type, RowLen: t.shape[0], Rows: t.rows(), Fill: t.fill, Workers: opts.Threads}
		err := w.WriteTensorFunc(t.name, func(out io.Writer) error {
			progress.Out = out
			return stream.Write(ctx, progress)
		})
		if err != nil {
			return err
		}
	}
	return w.Close()
}

// summarize opens what was written.
func summarize(path string) (*Converted, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	return &Converted{f.Size(), f.TypeCounts()}, f.Close()
}

// nameOf is the name of a model of which only the file is known.
func nameOf(path string) string {
	base := filepath.Base(path)
	if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" {
		return name
	}
	return base
}

// nameOfFolder is the name of a model of which only the folder is known.
func nameOfFolder(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return filepath.Base(path)
}
