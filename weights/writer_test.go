package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
	"pgregory.net/rapid"
)

// two declares two tensors of 12 and 34 bytes.
var two = []TensorInfo{{"a.weight", quant.F32, []int{3}}, {"b.weight", quant.Q8_0, []int{32, 1}}}

func writeTwo(t *testing.T, w *Writer) {
	t.Helper()
	for i, n := range []int{12, 34} {
		if err := w.WriteTensor(two[i].Name, bytes.Repeat([]byte{byte(i + 1)}, n)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWriterBytes compares a file with the bytes that the format asks for.
func TestWriterBytes(t *testing.T) {
	md := &Metadata{}
	mustSet(t, md, "k", "v")
	var out bytes.Buffer
	w, err := NewWriter(&out, md, two)
	if err != nil {
		t.Fatal(err)
	}
	writeTwo(t, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := header(2, 1).key("k", TypeString).str("v").tensor("a.weight", 0, 0, 3).tensor("b.weight", 8, 32, 32, 1).data(0)
	want.text(strings.Repeat("\x01", 12)).text(strings.Repeat("\x00", 20)).text(strings.Repeat("\x02", 34)).text(strings.Repeat("\x00", 30))
	if !bytes.Equal(out.Bytes(), want.b) {
		t.Errorf("got  %x\nwant %x", out.Bytes(), want.b)
	}
}

func TestWriterReproducesAllTypes(t *testing.T) {
	f, err := Parse(allTypes(3).b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(rewrite(t, f.Metadata(), f.Tensors()))
	if err != nil {
		t.Fatal(err)
	}
	if !equalMetadata(f.Metadata(), again.Metadata()) || !equalTensors(f.Tensors(), again.Tensors()) {
		t.Error("written and read again, the file is another")
	}
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(...any)
}

// rewrite writes tensors to memory, in pieces of varying size.
func rewrite(t fataler, md *Metadata, tensors []*Tensor) []byte {
	t.Helper()
	var infos []TensorInfo
	for _, tensor := range tensors {
		infos = append(infos, TensorInfo{tensor.Name, tensor.Type, tensor.Shape})
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range tensors {
		err := w.WriteTensorFunc(tensor.Name, func(out io.Writer) error {
			for left := tensor.Data; len(left) > 0; {
				n := min(len(left), 7+i)
				if _, err := out.Write(left[:n]); err != nil {
					return err
				}
				left = left[n:]
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.gguf")
	w, err := Create(path, nil, two)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	writeTwo(t, w)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before Close the file is there: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors()) != 2 || f.Version() != 3 {
		t.Errorf("%d tensors, version %d", len(f.Tensors()), f.Version())
	}
	if err := w.Close(); err == nil {
		t.Error("a second Close succeeded")
	}
	if err := w.WriteTensor("a.weight", nil); err == nil {
		t.Error("WriteTensor after Close succeeded")
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort after Close: %v", err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("the folder holds %v, %v", list, err)
	}
}

// TestIncomplete ends files too early, in every way: nothing may be left of them.
func TestIncomplete(t *testing.T) {
	cases := []struct {
		name string
		end  func(w *Writer) error
		want string
	}{
		{"no tensor", func(w *Writer) error { return w.Close() }, `"a.weight" and 1 more`},
		{"one tensor", func(w *Writer) error {
			return errors.Join(w.WriteTensor("a.weight", make([]byte, 12)), w.Close())
		}, `"b.weight" and 0 more`},
		{"out of order", func(w *Writer) error { return w.WriteTensor("b.weight", make([]byte, 34)) }, `tensor "a.weight" comes next`},
		{"not declared", func(w *Writer) error { return w.WriteTensor("c.weight", nil) }, `tensor "c.weight": out of order`},
		{"too short", func(w *Writer) error { return w.WriteTensor("a.weight", make([]byte, 11)) }, `"a.weight": 11 bytes`},
		{"too long", func(w *Writer) error { return w.WriteTensor("a.weight", make([]byte, 13)) }, `"a.weight": more data than the 12`},
		{"after an error", func(w *Writer) error {
			if w.WriteTensor("a.weight", nil) == nil {
				return nil
			}
			return w.WriteTensor("a.weight", make([]byte, 12))
		}, `"a.weight": 0 bytes`},
		{"closed after an error", func(w *Writer) error {
			if w.WriteTensor("a.weight", nil) == nil {
				return nil
			}
			return w.Close()
		}, `"a.weight": 0 bytes`},
		{"own error", func(w *Writer) error {
			return w.WriteTensorFunc("a.weight", func(io.Writer) error { return errors.New("the disk is on fire") })
		}, `"a.weight": the disk is on fire`},
		{"aborted", func(w *Writer) error { return errors.Join(w.Abort(), w.Close()) }, "closed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			w, err := Create(filepath.Join(dir, "model.gguf"), nil, two)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.end(w); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err := w.Abort(); err != nil {
				t.Error(err)
			}
			if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
				t.Errorf("the folder holds %v, %v", list, err)
			}
		})
	}
}

func TestOneTensorTooMany(t *testing.T) {
	w, err := NewWriter(io.Discard, nil, two)
	if err != nil {
		t.Fatal(err)
	}
	writeTwo(t, w)
	if err := w.WriteTensor("c.weight", nil); err == nil || !strings.Contains(err.Error(), "all declared") {
		t.Errorf("error %v", err)
	}
}

func TestDeclarationErrors(t *testing.T) {
	aligned := func(v any) *Metadata {
		md := &Metadata{}
		mustSet(t, md, keyAlignment, v)
		return md
	}
	cases := []struct {
		name    string
		md      *Metadata
		tensors []TensorInfo
		want    string
	}{
		{"no name", nil, []TensorInfo{{"", quant.F32, []int{1}}}, "names have"},
		{"name of 64 bytes", nil, []TensorInfo{{strings.Repeat("n", 64), quant.F32, []int{1}}}, "not 64"},
		{"twice", nil, []TensorInfo{{"a", quant.F32, []int{1}}, {"a", quant.F32, []int{1}}}, `"a" is there twice`},
		{"five dimensions", nil, []TensorInfo{{"a", quant.F32, []int{1, 1, 1, 1, 1}}}, `"a": 5 dimensions`},
		{"negative", nil, []TensorInfo{{"a", quant.F32, []int{-1}}}, `"a": shape [-1]`},
		{"overflow", nil, []TensorInfo{{"a", quant.F32, []int{1 << 32, 1 << 32}}}, `"a": shape`},
		{"unknown type", nil, []TensorInfo{{"a", 4242, []int{1}}}, `"a": unknown type 4242`},
		{"part of a block", nil, []TensorInfo{{"a", quant.Q4_0, []int{48}}}, `"a": rows of 48`},
		{"alignment", aligned(uint32(12)), nil, keyAlignment},
		{"alignment of another type", aligned(uint64(32)), nil, keyAlignment},
	}
	for _, c := range cases {
		if _, err := NewWriter(io.Discard, c.md, c.tensors); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		dir := t.TempDir()
		if _, err := Create(filepath.Join(dir, "x.gguf"), c.md, c.tensors); err == nil {
			t.Errorf("%s: Create succeeded", c.name)
		}
		if list, _ := os.ReadDir(dir); len(list) != 0 {
			t.Errorf("%s: Create left %v", c.name, list)
		}
	}
	if _, err := Create(filepath.Join(t.TempDir(), "absent", "x.gguf"), nil, nil); err == nil {
		t.Error("Create in a folder that is not there succeeded")
	}
}

// shortWriter fails after n bytes.
type shortWriter struct{ n int }

var errFull = errors.New("disk full")

func (s *shortWriter) Write(p []byte) (int, error) {
	if len(p) > s.n {
		n := s.n
		s.n = 0
		return n, errFull
	}
	s.n -= len(p)
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	big := []TensorInfo{{"a", quant.F32, []int{bufferBytes}}}
	data := make([]byte, 4*bufferBytes)
	md := &Metadata{}
	mustSet(t, md, "big", make([]uint64, bufferBytes))
	for _, n := range []int{0, 100, 9 * bufferBytes, 11 * bufferBytes} {
		err := func() error {
			w, err := NewWriter(&shortWriter{n}, md, big)
			if err != nil {
				return err
			}
			if err := w.WriteTensor("a", data); err != nil {
				return errors.Join(err, w.Abort())
			}
			return w.Close()
		}()
		if !errors.Is(err, errFull) {
			t.Errorf("disk full after %d bytes: error %v", n, err)
		}
	}
}

// drawScalar draws a value of one of the types that are not arrays.
func drawScalar(t *rapid.T) any {
	gens := []*rapid.Generator[any]{
		rapid.Uint8().AsAny(), rapid.Int8().AsAny(), rapid.Uint16().AsAny(), rapid.Int16().AsAny(), rapid.Uint32().AsAny(),
		rapid.Int32().AsAny(), rapid.Float32().AsAny(), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.Uint64().AsAny(),
		rapid.Int64().AsAny(), rapid.Float64().AsAny(),
	}
	return rapid.SampledFrom(gens).Draw(t, "kind").Draw(t, "scalar")
}

func slice[T any](g *rapid.Generator[T]) *rapid.Generator[any] {
	return rapid.SliceOfN(g, 0, 20).AsAny()
}

func drawArray(t *rapid.T, levels int) Value {
	gens := []*rapid.Generator[any]{
		slice(rapid.Uint8()), slice(rapid.Int8()), slice(rapid.Uint16()), slice(rapid.Int16()), slice(rapid.Uint32()),
		slice(rapid.Int32()), slice(rapid.Float32()), slice(rapid.Bool()), slice(rapid.String()), slice(rapid.Uint64()),
		slice(rapid.Int64()), slice(rapid.Float64()),
	}
	if levels > 1 {
		nested := rapid.Custom(func(t *rapid.T) Value { return drawArray(t, levels-1) })
		gens = append(gens, slice(nested))
	}
	v, err := NewValue(rapid.SampledFrom(gens).Draw(t, "elements").Draw(t, "array"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func drawMetadata(t *rapid.T) *Metadata {
	md := &Metadata{}
	keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9._]{0,20}`), 0, 12, rapid.ID[string]).Draw(t, "keys")
	for i, key := range keys {
		var v any
		if rapid.Bool().Draw(t, fmt.Sprint("isArray", i)) {
			v = drawArray(t, maxNesting)
		} else {
			v = drawScalar(t)
		}
		if err := md.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	if rapid.Bool().Draw(t, "aligned") {
		if err := md.Set(keyAlignment, uint32(8)<<rapid.IntRange(0, 6).Draw(t, "alignment")); err != nil {
			t.Fatal(err)
		}
	}
	return md
}

func drawTensors(t *rapid.T) []*Tensor {
	types := []quant.Type{quant.F32, quant.F16, quant.Q4_0, quant.Q8_0, quant.Q6_K, 16, 24, 39}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9._]{1,63}`), 0, 6, rapid.ID[string]).Draw(t, "names")
	var tensors []*Tensor
	for _, name := range names {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")
		b, _ := blockOf(typ)
		switch {
		case len(shape) > 0:
			shape[0] *= b.values
		case b.values > 1:
			shape = []int{b.values}
		}
		n, err := dataBytes(typ, shape)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i*7 + len(tensors))
		}
		tensors = append(tensors, &Tensor{Name: name, Type: typ, Shape: shape, Data: data})
	}
	return tensors
}

// TestRoundTrip writes whatever a file can hold and reads it again.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		md, tensors := drawMetadata(t), drawTensors(t)
		f, err := Parse(rewrite(t, md, tensors))
		if err != nil {
			t.Fatal(err)
		}
		if !equalMetadata(md, f.Metadata()) {
			t.Fatalf("metadata differ:\n%v\n%v", md.values, f.Metadata().values)
		}
		if !equalTensors(tensors, f.Tensors()) {
			t.Fatal("tensors differ")
		}
	})
}
