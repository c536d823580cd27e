package weights

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/mneme-lm/mneme/internal/atomicfile"
	"github.com/mneme-lm/mneme/weights/quant"
)

// TensorInfo declares a tensor that is to be written. Shape has the fastest dimension first.
type TensorInfo struct {
	Name  string
	Type  quant.Type
	Shape []int
}

// Bytes returns the size of the tensor's data.
func (t TensorInfo) Bytes() (int, error) {
	n, err := dataBytes(t.Type, t.Shape)
	if err != nil {
		return 0, fmt.Errorf("weights: tensor %s: %w", quote(t.Name), err)
	}
	return n, nil
}

// Writer writes a GGUF file of version 3: the metadata and the list of tensors first, then the data of each tensor in
// the declared order. It keeps none of the data, so that a file of any size needs little memory. It is not safe for use
// by several goroutines.
//
//	w, err := weights.Create(path, md, tensors)
//	if err != nil { … }
//	defer w.Abort() // does nothing after Close
//	for … { err := w.WriteTensor(name, data) … }
//	return w.Close()
type Writer struct {
	out       *bufio.Writer
	file      *atomicfile.File // nil with NewWriter
	tensors   []TensorInfo
	sizes     []int
	alignment int
	next      int   // index of the tensor that comes next
	err       error // the first error, which ends everything
	closed    bool
}

var errClosed = errors.New("weights: the writer is closed")

// bufferBytes gathers the many small fields of a header; the data are written in larger pieces than that.
const bufferBytes = 64 << 10

// Create begins a file that takes the name path when Close is called, and not before. md may be nil. Unless Close or
// Abort is called a temporary file stays.
func Create(path string, md *Metadata, tensors []TensorInfo) (*Writer, error) {
	w, err := newWriter(md, tensors)
	if err != nil {
		return nil, err
	}
	if w.file, err = atomicfile.Create(path); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if err := w.begin(w.file, md); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// NewWriter begins a file on out, which the caller closes after the Writer. md may be nil.
func NewWriter(out io.Writer, md *Metadata, tensors []TensorInfo) (*Writer, error) {
	w, err := newWriter(md, tensors)
	if err != nil {
		return nil, err
	}
	if err := w.begin(out, md); err != nil {
		return nil, err
	}
	return w, nil
}

// newWriter checks everything that is declared.
func newWriter(md *Metadata, tensors []TensorInfo) (*Writer, error) {
	if md == nil {
		md = &Metadata{}
	}
	alignment, err := alignmentOf(md)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	w := &Writer{tensors: tensors, sizes: make([]int, len(tensors)), alignment: alignment}
	seen := make(map[string]bool, len(tensors))
	for i, t := range tensors {
		switch {
		case t.Name == "" || len(t.Name) > maxNameBytes:
			return nil, fmt.Errorf("weights: tensor %s: names have 1 to %d bytes, not %d", quote(t.Name), maxNameBytes, len(t.Name))
		case seen[t.Name]:
			return nil, fmt.Errorf("weights: tensor %s is there twice", quote(t.Name))
		}
		seen[t.Name] = true
		if w.sizes[i], err = t.Bytes(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// begin writes all that comes before the data.
func (w *Writer) begin(out io.Writer, md *Metadata) error {
	if md == nil {
		md = &Metadata{}
	}
	w.out = bufio.NewWriterSize(out, bufferBytes)
	h := &headerWriter{out: w.out}
	h.bytes([]byte(magic))
	h.uint32(versionWritten)
	h.uint64(uint64(len(w.tensors)))
	h.uint64(uint64(md.Len()))
	for key, value := range md.All() {
		h.string(key)
		h.uint32(uint32(value.typ))
		h.value(value)
	}
	offset := uint64(0)
	for i, t := range w.tensors {
		h.string(t.Name)
		h.uint32(uint32(len(t.Shape)))
		for _, d := range t.Shape {
			h.uint64(uint64(d))
		}
		h.uint32(uint32(t.Type))
		h.uint64(offset)
		offset += uint64(w.sizes[i]) + uint64(padding(w.sizes[i], w.alignment))
	}
	if h.err == nil {
		h.err = w.pad(h.written)
	}
	if h.err != nil {
		w.err = fmt.Errorf("weights: write the header: %w", h.err)
	}
	return w.err
}

// padding returns the number of bytes from n to the next multiple of alignment.
func padding(n, alignment int) int { return -n & (alignment - 1) }

// pad writes zeros after n bytes up to a multiple of the alignment.
func (w *Writer) pad(n int) error {
	var zeros [4096]byte
	for left := padding(n, w.alignment); left > 0; {
		k, err := w.out.Write(zeros[:min(left, len(zeros))])
		if err != nil {
			return err
		}
		left -= k
	}
	return nil
}

// DataBytes returns the size of all declared tensors' data, without the padding between them.
func (w *Writer) DataBytes() (total int64) {
	for _, n := range w.sizes {
		total += int64(n)
	}
	return total
}

// WriteTensor writes the data of the tensor that comes next, which must be the one named.
func (w *Writer) WriteTensor(name string, data []byte) error {
	return w.WriteTensorFunc(name, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

// WriteTensorFunc writes the data of the tensor that comes next, which must be the one named, as write gives them, in
// pieces of any size. After an error the file cannot be completed.
func (w *Writer) WriteTensorFunc(name string, write func(io.Writer) error) error {
	if w.closed {
		return errClosed
	}
	if w.err != nil {
		return w.err
	}
	if err := w.writeNext(name, write); err != nil {
		w.err = fmt.Errorf("weights: tensor %s: %w", quote(name), err)
		return w.err
	}
	w.next++
	return nil
}

func (w *Writer) writeNext(name string, write func(io.Writer) error) error {
	if w.next == len(w.tensors) {
		return errors.New("all declared tensors are written")
	}
	if want := w.tensors[w.next].Name; want != name {
		return fmt.Errorf("out of order: tensor %s comes next", quote(want))
	}
	size := w.sizes[w.next]
	data := &limited{out: w.out, left: size, size: size}
	if err := write(data); err != nil {
		return err
	}
	if data.left > 0 {
		return fmt.Errorf("%d bytes of data where the declared shape takes %d", size-data.left, size)
	}
	return w.pad(size)
}

// limited lets through as many bytes as a tensor has.
type limited struct {
	out        io.Writer
	left, size int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, fmt.Errorf("more data than the %d bytes that the declared shape takes", l.size)
	}
	n, err := l.out.Write(p)
	l.left -= n
	return n, err
}

// Close ends the file. If a tensor is missing or anything failed it returns the error, and Create's file is discarded.
func (w *Writer) Close() error {
	if w.closed {
		return errClosed
	}
	if w.err == nil && w.next < len(w.tensors) {
		w.err = fmt.Errorf("weights: tensor %s and %d more are declared but not written",
			quote(w.tensors[w.next].Name), len(w.tensors)-w.next-1)
	}
	if w.err == nil {
		if err := w.out.Flush(); err != nil {
			w.err = fmt.Errorf("weights: %w", err)
		}
	}
	if w.err != nil {
		return errors.Join(w.err, w.Abort())
	}
	w.closed = true
	if w.file == nil {
		return nil
	}
	if err := w.file.Commit(); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	return nil
}

// Abort discards Create's file. After Close or Abort it does nothing.
func (w *Writer) Abort() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if w.file == nil {
		return nil
	}
	return w.file.Abort()
}
