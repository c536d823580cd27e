package weights

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// broken holds files that must be refused, each with words that the error must have.
var broken = []struct {
	name string
	file *raw
	want []string
}{
	// The header.
	{"empty", new(raw), []string{"not a GGUF file", "empty"}},
	{"other magic", new(raw).text("PK\x03\x04 something else"), []string{"not a GGUF file", `"PK\x03\x04"`}},
	{"shorter than the magic", new(raw).text("GG"), []string{"not a GGUF file", `"GG"`}},
	{"LFS pointer", new(raw).text("version https://git-lfs.github.com/spec/v1\n"), []string{"Git LFS pointer"}},
	{"magic alone", new(raw).text("GGUF"), []string{"truncated", "4 bytes"}},
	{"half a header", new(raw).text("GGUF").u32(3).u64(0), []string{"truncated"}},
	{"version 0", headerOf(0, 0, 0), []string{"version 0"}},
	{"version 1", headerOf(1, 0, 0), []string{"version 1"}},
	{"version 4", headerOf(4, 0, 0), []string{"unknown GGUF version 4"}},
	{"big-endian", headerOf(3<<24, 0, 0), []string{"big-endian"}},
	{"big-endian version 2", headerOf(2<<24, 0, 0), []string{"big-endian"}},
	{"2^60 tensors", header(1<<60, 0), []string{"1152921504606846976 tensors"}},
	{"2^64-1 tensors", header(1<<64-1, 0), []string{"18446744073709551615 tensors"}},
	{"2^60 keys", header(0, 1<<60), []string{"1152921504606846976 metadata keys"}},
	{"2^63 keys", header(0, 1<<63).data(64), []string{"metadata keys"}},
	{"one key, none there", header(0, 1), []string{"1 metadata keys"}},

	// Keys.
	{"key length 2^63", header(0, 1).u64(1 << 63).text("abc").data(32), []string{"key 1 of 1", "9223372036854775808"}},
	{"key longer than the file", header(0, 1).u64(1000).text("abcdefghijkl"), []string{"key 1 of 1", "1000 bytes"}},
	{"empty key", header(0, 1).key("", TypeUint32).u32(1), []string{"key 1 of 1", "0 bytes"}},
	{"key of 64 KiB", header(0, 1).key(strings.Repeat("k", 1<<16), TypeUint32).u32(1), []string{"key 1 of 1", "65536 bytes"}},
	{"key without type", header(0, 1).str("some.key").u16(4), []string{`"some.key"`, "truncated"}},
	{"second key cut", header(0, 2).key("a", TypeUint32).u32(1).u64(5).text("secon").u32(4), []string{`"secon"`, "truncated"}},
	{"key twice", header(0, 2).key("a.b", TypeUint8).u8(1).key("a.b", TypeUint8).u8(2), []string{`"a.b"`, "twice"}},
	{"unknown value type", header(0, 1).key("a.b", 13).u64(1), []string{`"a.b"`, "unknown value type 13"}},
	{"value type 2^32-1", header(0, 1).key("a.b", 1<<32-1).u64(1), []string{`"a.b"`, "unknown value type 4294967295"}},
	{"value cut", header(0, 1).key("a.b", TypeUint64).u32(1), []string{`"a.b"`, "truncated"}},
	{"bool of 2", header(0, 1).key("a.b", TypeBool).u8(2), []string{`"a.b"`, "bool", "2"}},
	{"string length 2^63", header(0, 1).key("a.b", TypeString).u64(1 << 63), []string{`"a.b"`, "9223372036854775808"}},
	{"string length 2^64-1", header(0, 1).key("a.b", TypeString).u64(1<<64 - 1).text("x"), []string{`"a.b"`, "string at offset"}},
	{"string longer than the file", header(0, 1).key("a.b", TypeString).u64(9).text("eightchr"), []string{`"a.b"`, "9 bytes", "8 more"}},

	// Arrays.
	{"array without count", header(0, 1).key("a.b", TypeArray).u32(4).u32(0), []string{`"a.b"`, "truncated"}},
	{"array of unknown type", header(0, 1).key("a.b", TypeArray).array(99, 0), []string{`"a.b"`, "unknown type 99"}},
	{"array of 2^60 bytes", header(0, 1).key("a.b", TypeArray).array(TypeUint8, 1<<60), []string{`"a.b"`, "1152921504606846976 elements"}},
	{"array of 2^61 uint64", header(0, 1).key("a.b", TypeArray).array(TypeUint64, 1<<61).u64(0), []string{`"a.b"`, "elements"}},
	{"array of 2^64-1 float32", header(0, 1).key("a.b", TypeArray).array(TypeFloat32, 1<<64-1).u64(0), []string{`"a.b"`, "elements"}},
	{"array of 2^60 strings", header(0, 1).key("a.b", TypeArray).array(TypeString, 1<<60).str("x"), []string{`"a.b"`, "elements"}},
	{"array of 2^60 arrays", header(0, 1).key("a.b", TypeArray).array(TypeArray, 1<<60).u64(0).u64(0), []string{`"a.b"`, "elements"}},
	{"array one element short", header(0, 1).key("a.b", TypeArray).array(TypeUint32, 3).u32(1).u32(2), []string{`"a.b"`, "3 elements", "8 bytes left"}},
	{"string in array too long", header(0, 1).key("a.b", TypeArray).array(TypeString, 2).str("x").u64(1 << 63).u64(0), []string{`"a.b"`, "element 1", "9223372036854775808"}},
	{"bool in array of 3", header(0, 1).key("a.b", TypeArray).array(TypeBool, 2).u8(1).u8(3), []string{`"a.b"`, "element 1", "bool"}},
	{"inner array too long", header(0, 1).key("a.b", TypeArray).array(TypeArray, 1).array(TypeUint8, 100).u64(0), []string{`"a.b"`, "element 0", "100 elements"}},
	{"nine nested arrays", nested(9), []string{`"a.b"`, "nested more than 8 deep"}},
	{"100000 nested arrays", nested(100000), []string{`"a.b"`, "nested more than 8 deep"}},

	// Alignment.
	{"alignment of type string", header(0, 1).key(keyAlignment, TypeString).str("32"), []string{keyAlignment, "string", "uint32"}},
	{"alignment of type uint64", header(0, 1).key(keyAlignment, TypeUint64).u64(32), []string{keyAlignment, "uint64", "uint32"}},
	{"alignment 0", header(0, 1).key(keyAlignment, TypeUint32).u32(0), []string{keyAlignment, "power of two"}},
	{"alignment 4", header(0, 1).key(keyAlignment, TypeUint32).u32(4), []string{keyAlignment, "power of two"}},
	{"alignment 24", header(0, 1).key(keyAlignment, TypeUint32).u32(24), []string{keyAlignment, "24", "power of two"}},
	{"alignment 2^31 with a tensor", header(1, 1).key(keyAlignment, TypeUint32).u32(1<<31).tensor("t", 0, 0, 8).data(64), []string{`"t"`, "truncated"}},

	// Tensors.
	{"one tensor, none there", header(1, 0).u64(1).text("x"), []string{"1 tensors"}},
	{"tensor name 2^63", header(1, 0).u64(1 << 63).data(64), []string{"tensor 1 of 1", "9223372036854775808"}},
	{"tensor without name", header(1, 0).tensor("", 0, 0, 8).data(32), []string{"tensor 1 of 1", "empty name"}},
	{"five dimensions", header(1, 0).tensor("t.w", 0, 0, 1, 1, 1, 1, 1).data(32), []string{`"t.w"`, "5 dimensions"}},
	{"2^32-1 dimensions", header(1, 0).str("t.w").u32(1<<32 - 1).data(64), []string{`"t.w"`, "4294967295 dimensions"}},
	{"dimension 2^63", header(1, 0).tensor("t.w", 0, 0, 1<<63).data(32), []string{`"t.w"`, "dimension 0", "9223372036854775808"}},
	{"product of dimensions 2^64", header(1, 0).tensor("t.w", 0, 0, 1<<32, 1<<32).data(32), []string{`"t.w"`, "more values"}},
	{"product wraps to 16", header(1, 0).tensor("t.w", 0, 0, 1<<33, 1<<33).data(64), []string{`"t.w"`, "more values"}},
	{"product overflows beside a zero", header(1, 0).tensor("t.w", 0, 0, 0, 1<<40, 1<<40).data(64), []string{`"t.w"`, "more values"}},
	{"bytes overflow", header(1, 0).tensor("t.w", 0, 0, 1<<62).data(32), []string{`"t.w"`, "more bytes"}},
	{"unknown type", header(1, 0).tensor("t.w", 4242, 0, 32).data(32), []string{`"t.w"`, "unknown type 4242"}},
	{"withdrawn type Q4_2", header(1, 0).tensor("t.w", 4, 0, 32).data(32), []string{`"t.w"`, "unknown type 4"}},
	{"type 2^32-1", header(1, 0).tensor("t.w", 1<<32-1, 0, 32).data(32), []string{`"t.w"`, "unknown type 4294967295"}},
	{"row of 33 in Q8_0", header(1, 0).tensor("t.w", 8, 0, 33, 32).data(2000), []string{`"t.w"`, "33", "Q8_0", "32"}},
	{"row of 128 in Q4_K", header(1, 0).tensor("t.w", 12, 0, 128, 2).data(2000), []string{`"t.w"`, "128", "Q4_K", "256"}},
	{"description cut", header(2, 0).tensor("t.w", 0, 0, 8).str("u.w").u32(2).u64(4), []string{`"u.w"`, "truncated"}},
	{"tensor twice", header(2, 0).tensor("t.w", 0, 0, 8).tensor("t.w", 0, 32, 8).data(64), []string{`"t.w"`, "twice"}},
	{"offset not aligned", header(1, 0).tensor("t.w", 0, 8, 8).data(64), []string{`"t.w"`, "offset 8", "alignment 32"}},
	{"offset beyond the file", header(1, 0).tensor("t.w", 0, 96, 8).data(64), []string{`"t.w"`, "truncated", "offset 96", "64 bytes of data"}},
	{"offset 2^64-32", header(1, 0).tensor("t.w", 0, 1<<64-32, 8).data(64), []string{`"t.w"`, "offset 18446744073709551584"}},
	{"offset 2^63", header(1, 0).tensor("t.w", 0, 1<<63, 8).data(64), []string{`"t.w"`, "offset 9223372036854775808"}},
	{"data one byte short", header(1, 0).tensor("t.w", 0, 0, 8).data(31), []string{`"t.w"`, "truncated", "32 bytes", "31 bytes"}},
	{"no data at all", header(1, 0).tensor("t.w", 0, 0, 8), []string{`"t.w"`, "truncated"}},
	{"empty tensor beyond the file", header(1, 0).tensor("t.w", 0, 64, 0).data(32), []string{`"t.w"`, "offset 64"}},
	{"overlap", header(2, 0).tensor("t.w", 0, 0, 16).tensor("u.w", 0, 32, 8).data(128), []string{`"u.w"`, `"t.w"`, "overlaps", "offset 32"}},
	{"overlap in reverse order", header(2, 0).tensor("t.w", 0, 32, 8).tensor("u.w", 0, 0, 16).data(128), []string{`"u.w"`, `"t.w"`, "overlaps"}},
	{"same place", header(2, 0).tensor("t.w", 0, 0, 8).tensor("u.w", 0, 0, 8).data(128), []string{`"u.w"`, `"t.w"`, "overlaps"}},
}

// nested is a file with a value of n arrays, one in the other.
func nested(n int) *raw {
	r := header(0, 1).key("a.b", TypeArray)
	for range n - 1 {
		r.array(TypeArray, 1)
	}
	return r.array(TypeUint8, 0).data(0)
}

func TestParseErrors(t *testing.T) {
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.file.b)
			if err == nil {
				t.Fatalf("accepted: %v, %d tensors", f.Metadata().Keys(), len(f.Tensors()))
			}
			text := err.Error()
			for _, want := range append(c.want, "weights: ") {
				if !strings.Contains(text, want) {
					t.Errorf("error %q does not say %q", text, want)
				}
			}
			if strings.ContainsRune(text, '\n') || len(text) > 300 {
				t.Errorf("error is not one short line: %q", text)
			}
		})
	}
}

func TestNotGGUF(t *testing.T) {
	if _, err := Parse([]byte("hello")); !errors.Is(err, ErrNotGGUF) {
		t.Errorf("error %v is not ErrNotGGUF", err)
	}
	if _, err := Parse(headerOf(7, 0, 0).b); err == nil || errors.Is(err, ErrNotGGUF) {
		t.Errorf("an unknown version gives %v, which must be an error other than ErrNotGGUF", err)
	}
}

// TestEveryPrefixFails cuts a sound file at every place: only the whole of it may load.
func TestEveryPrefixFails(t *testing.T) {
	whole := allTypes(3).b
	if _, err := Parse(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := Parse(whole[:n:n]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", n, len(whole))
		}
	}
}

// allTypes is a sound file with every type of value, nested arrays, and tensors of zero to four dimensions.
func allTypes(version uint32) *raw {
	return headerOf(version, 6, 26).
		key("u8", TypeUint8).u8(200).
		key("i8", TypeInt8).u8(0xfe).
		key("u16", TypeUint16).u16(60000).
		key("i16", TypeInt16).u16(0xfffd).
		key("u32", TypeUint32).u32(4000000000).
		key("i32", TypeInt32).u32(0xfffffffc).
		key("f32", TypeFloat32).f32(1.5).
		key("yes", TypeBool).u8(1).
		key("s", TypeString).str("héllo").
		key("u64", TypeUint64).u64(1<<64-1).
		key("i64", TypeInt64).u64(1<<64-5).
		key("f64", TypeFloat64).u64(0x3ff4000000000000). // 1.25
		key("au8", TypeArray).array(TypeUint8, 2).u8(1).u8(255).
		key("ai8", TypeArray).array(TypeInt8, 2).u8(1).u8(255).
		key("au16", TypeArray).array(TypeUint16, 1).u16(65535).
		key("ai16", TypeArray).array(TypeInt16, 1).u16(65535).
		key("au32", TypeArray).array(TypeUint32, 2).u32(7).u32(1<<32-1).
		key("ai32", TypeArray).array(TypeInt32, 2).u32(7).u32(1<<32-1).
		key("af32", TypeArray).array(TypeFloat32, 2).f32(0.5).f32(-2).
		key("abool", TypeArray).array(TypeBool, 3).u8(1).u8(0).u8(1).
		key("as", TypeArray).array(TypeString, 3).str("a").str("").str("ccc").
		key("au64", TypeArray).array(TypeUint64, 1).u64(1<<63).
		key("ai64", TypeArray).array(TypeInt64, 1).u64(1<<63).
		key("af64", TypeArray).array(TypeFloat64, 1).u64(0x3ff4000000000000).
		key("aa", TypeArray).array(TypeArray, 2).array(TypeUint8, 2).u8(3).u8(4).array(TypeArray, 1).array(TypeString, 1).str("deep").
		key("none", TypeArray).array(TypeString, 0).
		tensor("scalar", 0, 0).
		tensor("vector", 0, 32, 8).
		tensor("matrix", 8, 96, 32, 2). // after a gap
		tensor("cube", 1, 64, 4, 2, 2). // out of order
		tensor("four", 24, 192, 4, 2, 2, 2).
		tensor("empty", 0, 224, 8, 0).
		data(224)
}

func TestParseAllTypes(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		f, err := Parse(allTypes(version).b)
		if err != nil {
			t.Fatal(err)
		}
		checkMetadata(t, f.Metadata())
		checkTensors(t, f)
		if f.Version() != int(version) || f.Mapped() || len(f.Paths()) != 0 || f.Size() != int64(len(allTypes(3).b)) {
			t.Errorf("version %d mapped %v paths %q size %d", f.Version(), f.Mapped(), f.Paths(), f.Size())
		}
	}
}

func checkMetadata(t *testing.T, md *Metadata) {
	t.Helper()
	want := []struct {
		key string
		typ ValueType
		any any
	}{
		{"u8", TypeUint8, uint8(200)}, {"i8", TypeInt8, int8(-2)}, {"u16", TypeUint16, uint16(60000)},
		{"i16", TypeInt16, int16(-3)}, {"u32", TypeUint32, uint32(4000000000)}, {"i32", TypeInt32, int32(-4)},
		{"f32", TypeFloat32, float32(1.5)}, {"yes", TypeBool, true}, {"s", TypeString, "héllo"},
		{"u64", TypeUint64, uint64(1<<64 - 1)}, {"i64", TypeInt64, int64(-5)}, {"f64", TypeFloat64, 1.25},
		{"au8", TypeArray, []uint8{1, 255}}, {"ai8", TypeArray, []int8{1, -1}}, {"au16", TypeArray, []uint16{65535}},
		{"ai16", TypeArray, []int16{-1}}, {"au32", TypeArray, []uint32{7, 1<<32 - 1}}, {"ai32", TypeArray, []int32{7, -1}},
		{"af32", TypeArray, []float32{0.5, -2}}, {"abool", TypeArray, []bool{true, false, true}},
		{"as", TypeArray, []string{"a", "", "ccc"}}, {"au64", TypeArray, []uint64{1 << 63}},
		{"ai64", TypeArray, []int64{-1 << 63}}, {"af64", TypeArray, []float64{1.25}},
		{"aa", TypeArray, []Value{
			{any: []uint8{3, 4}, typ: TypeArray, elem: TypeUint8},
			{any: []Value{{any: []string{"deep"}, typ: TypeArray, elem: TypeString}}, typ: TypeArray, elem: TypeArray},
		}},
		{"none", TypeArray, []string{}},
	}
	var keys []string
	for _, w := range want {
		keys = append(keys, w.key)
		v, ok := md.Get(w.key)
		if !ok || v.Type() != w.typ || !equalValues(v, Value{any: w.any, typ: w.typ, elem: v.elem}) {
			t.Errorf("%s: %v %s %v, want %s %v", w.key, ok, v.Type(), v.Any(), w.typ, w.any)
		}
	}
	if got := md.Keys(); !slices.Equal(got, keys) {
		t.Errorf("keys %q, want %q", got, keys)
	}
}

func checkTensors(t *testing.T, f *File) {
	t.Helper()
	want := []struct {
		name           string
		typ            quant.Type
		shape          []int
		offset, size   int
		elements, rows int
	}{
		{"scalar", quant.F32, []int{}, 0, 4, 1, 1},
		{"vector", quant.F32, []int{8}, 32, 32, 8, 1},
		{"matrix", quant.Q8_0, []int{32, 2}, 96, 68, 64, 2},
		{"cube", quant.F16, []int{4, 2, 2}, 64, 32, 16, 4},
		{"four", 24, []int{4, 2, 2, 2}, 192, 32, 32, 8},
		{"empty", quant.F32, []int{8, 0}, 224, 0, 0, 0},
	}
	if len(f.Tensors()) != len(want) {
		t.Fatalf("%d tensors, want %d", len(f.Tensors()), len(want))
	}
	for i, w := range want {
		got := f.Tensors()[i]
		if got.Name != w.name || got.Type != w.typ || !slices.Equal(got.Shape, w.shape) || len(got.Data) != w.size {
			t.Errorf("tensor %d: %s %s %v %d bytes, want %s %s %v %d bytes", i, got.Name, got.Type, got.Shape, len(got.Data),
				w.name, w.typ, w.shape, w.size)
		}
		if got.Elements() != w.elements || got.Rows() != w.rows {
			t.Errorf("%s: %d values in %d rows, want %d in %d", w.name, got.Elements(), got.Rows(), w.elements, w.rows)
		}
		if len(got.Data) > 0 && got.Data[0] != uint8(w.offset) {
			t.Errorf("%s: data begin with %d, want %d", w.name, got.Data[0], w.offset)
		}
		if byName, ok := f.Tensor(w.name); !ok || byName != got {
			t.Errorf("Tensor(%q) = %v, %v", w.name, byName, ok)
		}
	}
	if _, ok := f.Tensor("absent"); ok {
		t.Error("a tensor that is not there was found")
	}
}

// TestParseAllocation feeds the broken files, and files that are nothing but entries of the smallest size, and compares
// what Parse allocates with their size.
func TestParseAllocation(t *testing.T) {
	// Of an entry of 14 bytes the reader keeps a key, a Value and a place in a map, and lists grow by doubling.
	const perByte, constant = 64, 1 << 16
	files := map[string][]byte{}
	for _, c := range broken {
		files[c.name] = c.file.b
	}
	for name, r := range smallest(20000) {
		files[name] = r.b
	}
	for name, data := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Parse(data)
		runtime.ReadMemStats(&after)
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(perByte*len(data)+constant); used > most {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, used, len(data))
		}
	}
}

// smallest makes sound files that are full of the smallest entries of each kind.
func smallest(n int) map[string]*raw {
	keys := header(0, uint64(n))
	for i := range n {
		keys.key(string(rune(0x100+i)), TypeUint8).u8(1)
	}
	tensors := header(uint64(n), 0)
	for i := range n {
		tensors.tensor(string(rune(0x100+i)), 0, 0, 0)
	}
	texts := header(0, 1).key("a", TypeArray).array(TypeString, uint64(n))
	arrays := header(0, 1).key("a", TypeArray).array(TypeArray, uint64(n))
	for range n {
		texts.str("")
		arrays.array(TypeUint8, 0)
	}
	return map[string]*raw{"keys": keys, "tensors": tensors.data(0), "texts": texts, "arrays": arrays}
}
