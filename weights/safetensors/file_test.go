package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
)

// raw puts a file together from its header and n bytes of data, which count up from 0.
func raw(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

// good has tensors of several types and shapes, out of order, an empty one, strings, and spaces at the end.
const good = `{"b":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]},"__metadata__":{"format":"pt","":"x"},` +
	`"a":{"shape":[],"dtype":"F32","data_offsets":[0,4]},"none":{"dtype":"BF16","shape":[3,0],"data_offsets":[12,12]},` +
	`"i\u0061":{"dtype":"I64","shape":[1],"data_offsets":[12,20]},"c":{"dtype":"BF16","shape":[3],"data_offsets":[20,26]}}   `

func TestParse(t *testing.T) {
	f, err := Parse(raw(good, 26))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tensor := range f.Tensors() {
		names = append(names, tensor.Name)
	}
	if want := []string{"b", "a", "none", "ia", "c"}; !slices.Equal(names, want) {
		t.Errorf("tensors %q, want %q", names, want)
	}
	b, ok := f.Tensor("b")
	if !ok || b.DType != F16 || !slices.Equal(b.Shape, []int{2, 2}) || !bytes.Equal(b.Data, []byte{4, 5, 6, 7, 8, 9, 10, 11}) {
		t.Errorf("tensor b: %+v", b)
	}
	if a, _ := f.Tensor("a"); a.Elements() != 1 || len(a.Data) != 4 {
		t.Errorf("tensor a: %+v", a)
	}
	if none, _ := f.Tensor("none"); none.Elements() != 0 || len(none.Data) != 0 {
		t.Errorf("the empty tensor: %+v", none)
	}
	if _, ok := f.Tensor("nobody"); ok {
		t.Error("a tensor that is not there")
	}
	if s, ok := f.Metadata("format"); !ok || s != "pt" {
		t.Errorf("metadata: %q, %v", s, ok)
	}
	if _, ok := f.Metadata("nothing"); ok || f.Paths() != nil {
		t.Errorf("metadata that are not there, or paths %q", f.Paths())
	}
}

func TestDecode(t *testing.T) {
	data := raw(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"h":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},`+
		`"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[14,18]},"i":{"dtype":"I32","shape":[1],"data_offsets":[18,22]}}`, 0)
	for _, v := range []float32{1.5, -2} {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	for _, v := range []uint16{0x3c00, 0xc000, 0x0001, 0x3fc0, 0xff80} {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	f, err := Parse(append(data, 0, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{
		"x": {1.5, -2}, "h": {1, -2, 0x1p-24}, "b": {1.5, float32(math.Inf(-1))},
	} {
		tensor, _ := f.Tensor(name)
		got := make([]float32, len(want))
		if err := tensor.Decode(got, 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
		if err := tensor.Decode(got[1:], 1); err != nil || got[1] != want[1] {
			t.Errorf("%s from its second value: %v, %v", name, got, err)
		}
		for _, first := range []int{-1, 1, math.MaxInt, math.MinInt} {
			if err := tensor.Decode(got, first); err == nil {
				t.Errorf("%s: values from %d on", name, first)
			}
		}
	}
	integer, _ := f.Tensor("i")
	if err := integer.Decode(make([]float32, 1), 0); err == nil || !strings.Contains(err.Error(), "I32") || integer.DType.CanDecode() {
		t.Errorf("an integer: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	x, _ := f.Tensor("x")
	if err := x.Decode(make([]float32, 2), 0); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// broken lists files that must be refused, with a part of the error.
var broken = []struct {
	name string
	data []byte
	want string
}{
	{"empty", nil, "truncated"},
	{"seven bytes", make([]byte, 7), "truncated"},
	{"no header", make([]byte, 8), "object"},
	{"truncated header", raw(good, 26)[:100], "truncated"},
	{"giant header", append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), '{'), "safetensors"},
	{"spaces first", raw(` {}`, 0), "object"},
	{"an array", raw(`[]`, 0), "object"},
	{"no end", raw(`{`, 0), "EOF"},
	{"two objects", raw(`{}{}`, 0), "follows"},
	{"not UTF-8", raw("{\"\xff\":1}", 0), "UTF-8"},
	{"truncated data", raw(good, 25), "25 bytes of data"},
	{"data left over", raw(good, 27), "last 1 bytes belong to no tensor"},
	{"data without tensors", raw(`{}`, 1), "last 1 bytes"},
	{"a tensor twice", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "there twice"},
	{"metadata twice", raw(`{"__metadata__":{},"__metadata__":{}}`, 0), "there twice"},
	{"a string twice", raw(`{"__metadata__":{"a":"","a":""}}`, 0), "there twice"},
	{"metadata of numbers", raw(`{"__metadata__":{"a":1}}`, 0), "want a string"},
	{"metadata of null", raw(`{"__metadata__":null}`, 0), "null"},
	{"a tensor that is a number", raw(`{"a":1}`, 0), `want \"{\"`},
	{"no dtype", raw(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), "no dtype"},
	{"no shape", raw(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), "no shape"},
	{"no offsets", raw(`{"a":{"dtype":"U8","shape":[1]}}`, 1), "no data_offsets"},
	{"a member twice", raw(`{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1), "there twice"},
	{"unknown member", raw(`{"a":{"dtype":"U8","Shape":[1],"data_offsets":[0,1]}}`, 1), "unknown member"},
	{"unknown type", raw(`{"a":{"dtype":"Q8","shape":[1],"data_offsets":[0,1]}}`, 1), "Q8"},
	{"type in small letters", raw(`{"a":{"dtype":"u8","shape":[1],"data_offsets":[0,1]}}`, 1), "u8"},
	{"three offsets", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 1), "3 numbers"},
	{"a negative dimension", raw(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), "whole number"},
	{"a broken dimension", raw(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1), "whole number"},
	{"a dimension in quotes", raw(`{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1), "whole number"},
	{"a dimension of 64 bits", raw(`{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}}`, 1), "counted"},
	{"an overflow", raw(`{"a":{"dtype":"F32","shape":[4611686018427387904,4,1],"data_offsets":[0,0]}}`, 0), "addressed"},
	{"an overflow beside zero", raw(`{"a":{"dtype":"U8","shape":[4294967296,0,4294967296],"data_offsets":[0,0]}}`, 0), "addressed"},
	{"offsets reversed", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1), "offsets 1 to 0"},
	{"offsets beyond", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 1), "1 bytes of data"},
	{"giant offsets", raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}}`, 0), "0 bytes of data"},
	{"too few bytes", raw(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,3]}}`, 3), "takes 4"},
	{"overlap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "overlaps"},
	{"the same bytes", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2), "overlaps"},
	{"empty within another", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`, 2), "overlaps"},
	{"a hole", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3), "belong to no tensor"},
	{"deep", raw(`{"a":`+strings.Repeat("[", 20000), 0), `want \"{\"`},
	{"a long name", raw(`{"`+strings.Repeat("x", 1000)+`":[]}`, 0), "…"},
}

func TestParseRefuses(t *testing.T) {
	for _, c := range broken {
		_, err := Parse(c.data)
		if err == nil || !strings.Contains(strconv.Quote(err.Error()), c.want) {
			t.Errorf("%s: error %v, want one with %s", c.name, err, c.want)
		} else if strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%s: error %q", c.name, err)
		}
	}
}

func write(t *testing.T, folder, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	path := write(t, t.TempDir(), "x.safetensors", raw(good, 26))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := f.Tensor("c"); !ok || !bytes.Equal(c.Data, []byte{20, 21, 22, 23, 24, 25}) || !slices.Equal(f.Paths(), []string{path}) {
		t.Errorf("tensor c: %+v, paths %q", c, f.Paths())
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir(), write(t, t.TempDir(), "bad", raw(good, 3))} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestOpenIndex(t *testing.T) {
	tensor := func(name string) []byte {
		return raw(`{"`+name+`":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2)
	}
	folder := t.TempDir()
	write(t, folder, "1.safetensors", tensor("a"))
	write(t, folder, "2.safetensors", tensor("b"))
	f, err := OpenIndex(write(t, folder, "index", []byte(`{"metadata":{"total_size":[4]},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	a, okA := f.Tensor("a")
	b, okB := f.Tensor("b")
	if !okA || !okB || len(a.Data) != 2 || len(b.Data) != 2 || len(f.Tensors()) != 2 || len(f.Paths()) != 2 {
		t.Errorf("tensors %+v, %+v, paths %q", a, b, f.Paths())
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for index, want := range map[string]string{
		`{}`: "weight_map", `{"weight_map":{}}`: "weight_map", `[]`: "want", `{"weight_map":{"a":"1.safetensors"}} x`: "follows",
		`{"weight_map":{"a":1}}`: "want a string",
		`{"weight_map":{"a":"1.safetensors"},"weight_map":{"b":"2.safetensors"}}`:      "there twice",
		`{"weight_map":{"a":"../1.safetensors"}}`:                                      "no file of the same folder",
		`{"weight_map":{"a":"/etc/passwd"}}`:                                           "no file of the same folder",
		`{"weight_map":{"a":"x\\1.safetensors"}}`:                                      "no file of the same folder",
		`{"weight_map":{"a":""}}`:                                                      "no file of the same folder",
		`{"weight_map":{"a":"3.safetensors"}}`:                                         "3.safetensors",
		`{"weight_map":{"b":"1.safetensors"}}`:                                         `"a"`,
		`{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}`:                     `"b"`,
		`{"weight_map":{"a":"2.safetensors","b":"1.safetensors"}}`:                     "does not have it",
		`{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}`: `"c"`,
		`{"x":` + strings.Repeat("[", 20000):                                           "depth",
	} {
		path := write(t, folder, "index", []byte(index))
		if _, err := OpenIndex(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.100s: error %v, want one with %s", index, err, want)
		}
	}
	if _, err := OpenIndex(filepath.Join(folder, "none")); err == nil {
		t.Error("an index that is not there")
	}
}

// FuzzParse holds that what is accepted has data of the size that its shapes say, that make up the file.
func FuzzParse(f *testing.F) {
	f.Add(raw(good, 26))
	for _, c := range broken {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		total := lengthBytes + int(binary.LittleEndian.Uint64(data))
		for _, tensor := range file.Tensors() {
			total += len(tensor.Data)
			if len(tensor.Data) != tensor.Elements()*dtypeBytes[tensor.DType] {
				t.Fatalf("%+v", tensor)
			}
			values := make([]float32, tensor.Elements())
			if err := tensor.Decode(values, 0); (err == nil) != tensor.DType.CanDecode() {
				t.Fatalf("tensor %q of type %s: %v", tensor.Name, tensor.DType, err)
			}
		}
		if total != len(data) {
			t.Fatalf("tensors and header have %d bytes of %d", total, len(data))
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":[4]},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		files, err := parseIndex(text)
		if (err == nil) != (len(files) > 0) {
			t.Fatalf("%v, %v", files, err)
		}
		for _, name := range files {
			if name == "" || filepath.Base(name) != name {
				t.Fatalf("file %q", name)
			}
		}
	})
}

// TestPrototypes opens files that another program wrote.
func TestPrototypes(t *testing.T) {
	for _, name := range []string{"base", "landmark", "titans", "fifo"} {
		f, err := Open(testdata.Shared(t, "prototypes/"+name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := f.Tensor("e.weight"); !ok || !slices.Equal(e.Shape, []int{262, 128}) || e.DType != F32 {
			t.Errorf("%s: %+v", name, f.Tensors()[0])
		}
		if _, ok := f.Metadata("config"); !ok {
			t.Errorf("%s: no configuration", name)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
