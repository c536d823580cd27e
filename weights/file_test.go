package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
)

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOpenMapsAndReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	writeFile(t, path, allTypes(3).b)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	checkMetadata(t, f.Metadata())
	checkTensors(t, f)
	if got := f.Paths(); len(got) != 1 || got[0] != path {
		t.Errorf("paths %q", got)
	}
	switch runtime.GOOS {
	case "linux", "darwin", "windows":
		if !f.Mapped() {
			t.Error("the file is not mapped")
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	checkMetadata(t, f.Metadata()) // strings must not lie in the mapping
	for _, tensor := range f.Tensors() {
		if tensor.Data != nil {
			t.Errorf("%s still has data after Close", tensor.Name)
		}
	}
	if f.Size() != 0 {
		t.Errorf("size %d after Close", f.Size())
	}
}

// TestMappedEqualsRead opens files and parses their bytes, a real one among them where there is one.
func TestMappedEqualsRead(t *testing.T) {
	check := func(t *testing.T, path string) {
		mapped, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer mapped.Close()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		if read.Mapped() {
			t.Error("bytes in memory say that they are mapped")
		}
		if !equalMetadata(mapped.Metadata(), read.Metadata()) || !equalTensors(mapped.Tensors(), read.Tensors()) {
			t.Error("mapped and read differ")
		}
		if mapped.Size() != read.Size() || len(mapped.Tensors()) == 0 {
			t.Errorf("%d tensors in %d bytes mapped, %d bytes read", len(mapped.Tensors()), mapped.Size(), read.Size())
		}
	}
	t.Run("hand-made", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "model.gguf")
		writeFile(t, path, allTypes(3).b)
		check(t, path)
	})
	t.Run("real", func(t *testing.T) { check(t, testdata.Shared(t, "models/stories260K.gguf")) })
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	empty, text := filepath.Join(dir, "empty.gguf"), filepath.Join(dir, "text.gguf")
	writeFile(t, empty, nil)
	writeFile(t, text, []byte("a text file"))
	cases := []struct {
		path, want string
		is         error
	}{
		{filepath.Join(dir, "absent.gguf"), "absent.gguf", fs.ErrNotExist},
		{dir, "not a regular file", nil},
		{os.DevNull, "not a regular file", nil},
		{empty, "empty.gguf: not a GGUF file: empty", ErrNotGGUF},
		{text, "text.gguf: not a GGUF file", ErrNotGGUF},
	}
	for _, c := range cases {
		f, err := Open(c.path)
		if err == nil {
			f.Close()
			t.Errorf("%s: accepted", c.path)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: error %q, want %q (%v)", c.path, err, c.want, c.is)
		}
	}
}

// TestOpenBroken opens the broken files from disk: a mapping of a file that is refused must not linger or matter.
func TestOpenBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.gguf")
	for _, c := range broken {
		writeFile(t, path, c.file.b)
		f, err := Open(path)
		if err == nil {
			f.Close()
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, want := range append(c.want, "weights: ", "broken.gguf") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", c.name, err, want)
			}
		}
	}
}

func TestConcurrentReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	writeFile(t, path, allTypes(3).b)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if tensor, ok := f.Tensor("matrix"); !ok || tensor.Data[0] != 96 {
					t.Error("the matrix is not there")
				}
				if s, ok := f.Metadata().String("s"); !ok || s != "héllo" {
					t.Errorf("s = %q", s)
				}
				if _, ok := f.Metadata().Uints("au8"); !ok {
					t.Error("au8 is not there")
				}
			}
		})
	}
	wg.Wait()
}

// TestOpenShared opens all models and vocabularies.
func TestOpenShared(t *testing.T) {
	for _, pattern := range []string{"models/*.gguf", "vocab/*.gguf"} {
		paths, err := filepath.Glob(filepath.Join(testdata.Shared(t, filepath.Dir(pattern)), filepath.Base(pattern)))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			f, err := Open(path)
			if err != nil {
				t.Error(err)
				continue
			}
			checkReal(t, f)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func checkReal(t *testing.T, f *File) {
	t.Helper()
	name := filepath.Base(f.Paths()[0])
	tokens, ok := f.Metadata().Strings("tokenizer.ggml.tokens")
	if !ok || len(tokens) < 100 {
		t.Errorf("%s: %d tokens", name, len(tokens))
	}
	arch, ok := f.Metadata().String("general.architecture")
	if !ok || arch == "" {
		t.Errorf("%s: architecture %q", name, arch)
	}
	if strings.HasPrefix(name, "ggml-vocab-") {
		return
	}
	for _, tensor := range f.Tensors() {
		if tensor.Elements() == 0 || len(tensor.Data) == 0 {
			t.Errorf("%s: tensor %s is empty", name, tensor.Name)
		}
	}
	embd, ok := f.Tensor("token_embd.weight")
	if width, _ := f.Metadata().Uint(arch + ".embedding_length"); !ok || uint64(embd.RowLen()) != width || embd.Rows() != len(tokens) {
		t.Errorf("%s: token_embd.weight is %v", name, embd)
	}
}

// parts returns the bytes of a split model of three parts with two, none and one tensors.
func parts(total uint64) [][]byte {
	part := func(no uint16, tensors uint64) *raw {
		return header(tensors, 4).key("part.only", TypeUint8).u8(uint8(no)).
			key(keySplitNo, TypeUint16).u16(no).
			key(keySplitCount, TypeUint16).u16(3).
			key(keySplitTensors, TypeInt32).u32(uint32(total))
	}
	return [][]byte{
		part(0, 2).tensor("a", 0, 0, 8).tensor("b", 0, 32, 8).data(64).b,
		part(1, 0).b,
		part(2, 1).tensor("c", 1, 0, 16).data(32).b,
	}
}

func writeParts(t testing.TB, dir string, list [][]byte) []string {
	t.Helper()
	var paths []string
	for i, data := range list {
		path := filepath.Join(dir, fmt.Sprintf("model-%05d-of-%05d.gguf", i+1, len(list)))
		if data != nil {
			writeFile(t, path, data)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestOpenSplit(t *testing.T) {
	paths := writeParts(t, t.TempDir(), parts(3))
	for i, path := range paths {
		f, err := Open(path)
		if err != nil {
			t.Fatalf("part %d: %v", i+1, err)
		}
		var names []string
		for _, tensor := range f.Tensors() {
			names = append(names, tensor.Name)
			if byName, ok := f.Tensor(tensor.Name); !ok || byName != tensor || len(tensor.Data) != 32 {
				t.Errorf("part %d: tensor %s: %v, %d bytes", i+1, tensor.Name, ok, len(tensor.Data))
			}
		}
		if got := strings.Join(names, " "); got != "a b c" {
			t.Errorf("part %d: tensors %q", i+1, got)
		}
		if got := strings.Join(f.Paths(), " "); got != strings.Join(paths, " ") {
			t.Errorf("part %d: paths %q", i+1, got)
		}
		if n, ok := f.Metadata().Uint("part.only"); !ok || n != 0 {
			t.Errorf("part %d: metadata of part %d", i+1, n+1)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if f.Tensors()[2].Data != nil {
			t.Error("a tensor of the last part still has data after Close")
		}
	}
}

func TestOpenSplitErrors(t *testing.T) {
	replace := func(i int, data []byte) [][]byte {
		list := parts(3)
		list[i] = data
		return list
	}
	split := func(no, count uint16) *raw {
		return header(0, 2).key(keySplitNo, TypeUint16).u16(no).key(keySplitCount, TypeUint16).u16(count)
	}
	duplicate := header(1, 2).key(keySplitNo, TypeUint16).u16(2).key(keySplitCount, TypeUint16).u16(3).tensor("a", 0, 0, 8).data(32).b
	cases := []struct {
		name  string
		parts [][]byte
		want  []string
	}{
		{"missing", replace(1, nil), []string{"part 2 of 3 is missing", "model-00002-of-00003.gguf"}},
		{"broken", replace(2, []byte("GGUF")), []string{"part 3 of 3", "model-00003-of-00003.gguf", "truncated"}},
		{"not split", replace(1, header(0, 0).b), []string{"part 2 of 3", "model-00002-of-00003.gguf", "part 1 of 1"}},
		{"wrong number", replace(2, split(1, 3).b), []string{"part 3 of 3", "part 2 of 3"}},
		{"of another set", replace(1, split(1, 4).b), []string{"part 2 of 3", "part 2 of 4"}},
		{"tensor in two parts", replace(2, duplicate), []string{`tensor "a"`, "model-00003-of-00003.gguf"}},
		{"wrong total", parts(4), []string{keySplitTensors, "4 tensors", "have 3"}},
		{"total of another type", replace(0, header(0, 3).key(keySplitNo, TypeUint16).u16(0).key(keySplitCount, TypeUint16).u16(3).
			key(keySplitTensors, TypeString).str("3").b), []string{keySplitTensors, "string"}},
		{"count of another type", replace(0, header(0, 1).key(keySplitCount, TypeString).str("3").b), []string{keySplitCount, "string"}},
		{"count too large", replace(0, header(0, 1).key(keySplitCount, TypeUint64).u64(1<<63).b), []string{keySplitCount, "9223372036854775808"}},
		{"no number", replace(0, header(0, 1).key(keySplitCount, TypeUint16).u16(3).b), []string{keySplitNo, "missing"}},
		{"number too large", replace(0, split(3, 3).b), []string{keySplitNo, "3"}},
		{"number does not fit the name", replace(0, split(1, 3).b), []string{"part 2 of 3", "-00002-of-00003.gguf"}},
		{"count does not fit the name", replace(0, split(0, 65535).b), []string{"part 1 of 65535", "-00001-of-65535.gguf"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			paths := writeParts(t, t.TempDir(), c.parts)
			f, err := Open(paths[0])
			if err == nil {
				f.Close()
				t.Fatal("accepted")
			}
			for _, want := range append(c.want, "weights: ", "model-00001-of-00003.gguf") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
}

func TestSplitName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "renamed.gguf")
	writeFile(t, path, parts(3)[0])
	if f, err := Open(path); err == nil {
		f.Close()
		t.Error("a part under another name was accepted")
	} else if !strings.Contains(err.Error(), "-00001-of-00003.gguf") {
		t.Errorf("error %q does not say the name that it should have", err)
	}
	if _, err := Parse(parts(3)[0]); err == nil || !strings.Contains(err.Error(), "3 parts") {
		t.Errorf("Parse of a part: %v", err)
	}
	single := header(0, 2).key(keySplitNo, TypeUint16).u16(0).key(keySplitCount, TypeUint16).u16(1).b
	writeFile(t, path, single)
	f, err := Open(path)
	if err != nil {
		t.Fatalf("a split of one part: %v", err)
	}
	f.Close()
}

func BenchmarkOpen(b *testing.B) {
	b.Run("vocabulary", func(b *testing.B) {
		md := &Metadata{}
		words, scores := make([]string, 128<<10), make([]float32, 128<<10)
		for i := range words {
			words[i] = fmt.Sprintf("token-%d", i)
		}
		for key, v := range map[string]any{"tokens": words, "scores": scores} {
			if err := md.Set(key, v); err != nil {
				b.Fatal(err)
			}
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, md, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(out.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(out.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("llama-bpe", func(b *testing.B) {
		path := testdata.Shared(b, "vocab/ggml-vocab-llama-bpe.gguf")
		b.ReportAllocs()
		for b.Loop() {
			f, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(f.Size())
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
