package weights

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

func mustSet(t *testing.T, md *Metadata, key string, v any) {
	t.Helper()
	if err := md.Set(key, v); err != nil {
		t.Fatal(err)
	}
}

// TestGetters asks every getter for values of every type.
func TestGetters(t *testing.T) {
	f, err := Parse(allTypes(3).b)
	if err != nil {
		t.Fatal(err)
	}
	md := f.Metadata()
	getters := map[string]struct {
		get  func(key string) (any, bool)
		want map[string]any
	}{
		"String": {func(k string) (any, bool) { return wrap(md.String(k)) }, map[string]any{"s": "héllo"}},
		"Bool":   {func(k string) (any, bool) { return wrap(md.Bool(k)) }, map[string]any{"yes": true}},
		"Uint": {func(k string) (any, bool) { return wrap(md.Uint(k)) }, map[string]any{
			"u8": uint64(200), "u16": uint64(60000), "u32": uint64(4000000000), "u64": uint64(1<<64 - 1)}},
		"Int": {func(k string) (any, bool) { return wrap(md.Int(k)) }, map[string]any{"u8": int64(200), "i8": int64(-2),
			"u16": int64(60000), "i16": int64(-3), "u32": int64(4000000000), "i32": int64(-4), "i64": int64(-5)}},
		"Float": {func(k string) (any, bool) { return wrap(md.Float(k)) }, map[string]any{"f32": 1.5, "f64": 1.25}},
		"Strings": {func(k string) (any, bool) { return wrap(md.Strings(k)) },
			map[string]any{"as": []string{"a", "", "ccc"}, "none": []string{}}},
		"Float32s": {func(k string) (any, bool) { return wrap(md.Float32s(k)) },
			map[string]any{"af32": []float32{0.5, -2}, "af64": []float32{1.25}}},
		"Int32s": {func(k string) (any, bool) { return wrap(md.Int32s(k)) }, map[string]any{"au8": []int32{1, 255},
			"ai8": []int32{1, -1}, "au16": []int32{65535}, "ai16": []int32{-1}, "ai32": []int32{7, -1}}},
		"Uints": {func(k string) (any, bool) { return wrap(md.Uints(k)) }, map[string]any{"au8": []uint64{1, 255},
			"au16": []uint64{65535}, "au32": []uint64{7, 1<<32 - 1}, "au64": []uint64{1 << 63}}},
	}
	for name, g := range getters {
		for _, key := range append(md.Keys(), "absent") {
			got, ok := g.get(key)
			want, wantOK := g.want[key]
			if ok != wantOK || ok && !equalAny(got, want) {
				t.Errorf("%s(%q) = %v, %v; want %v, %v", name, key, got, ok, want, wantOK)
			}
		}
	}
}

func wrap[T any](v T, ok bool) (any, bool) { return v, ok }

func equalAny(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func TestSetOrderDeleteClone(t *testing.T) {
	md := &Metadata{}
	for _, key := range []string{"c", "a", "b"} {
		mustSet(t, md, key, uint32(1))
	}
	mustSet(t, md, "a", "again")
	if got := md.Keys(); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("keys %q, want the order of the first Set", got)
	}
	clone := md.Clone()
	clone.Delete("a")
	clone.Delete("absent")
	mustSet(t, clone, "d", []int32{1})
	if got := clone.Keys(); !slices.Equal(got, []string{"c", "b", "d"}) || clone.Len() != 3 {
		t.Errorf("clone has keys %q", got)
	}
	if _, ok := clone.Get("a"); ok {
		t.Error("a deleted key is still there")
	}
	if s, ok := md.String("a"); !ok || s != "again" || md.Len() != 3 {
		t.Errorf("changes of the clone reached the original: %q %v, %d keys", s, ok, md.Len())
	}
	got := maps.Collect(clone.All())
	if len(got) != 3 || got["d"].Len() != 1 {
		t.Errorf("All yields %v", got)
	}
	for range clone.All() {
		break // must not panic
	}
}

func TestSetErrors(t *testing.T) {
	deep, err := NewValue([]uint8{1})
	for range maxNesting - 1 {
		if err != nil {
			t.Fatal(err)
		}
		deep, err = NewValue([]Value{deep})
	}
	if err != nil {
		t.Fatalf("%d levels of arrays: %v", maxNesting, err)
	}
	scalar, _ := NewValue(uint8(1))
	cases := []struct {
		name, key string
		value     any
		want      string
	}{
		{"empty key", "", uint32(1), "keys have"},
		{"long key", strings.Repeat("k", 1<<16), uint32(1), "keys have"},
		{"int", "a.b", 1, "Go type int"},
		{"uint", "a.b", uint(1), "Go type uint"},
		{"nil", "a.b", nil, "<nil>"},
		{"map", "a.b", map[string]int{}, "map[string]int"},
		{"slice of int", "a.b", []int{1}, "[]int"},
		{"slice of slices", "a.b", [][]uint8{{1}}, "[][]uint8"},
		{"zero Value", "a.b", Value{}, "zero Value"},
		{"array of scalars as Values", "a.b", []Value{scalar}, "element 0"},
		{"array of zero Values", "a.b", []Value{{}}, "element 0"},
		{"nested too deep", "a.b", []Value{deep}, "nested"},
	}
	for _, c := range cases {
		md := &Metadata{}
		err := md.Set(c.key, c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), quote(c.key)) {
			t.Errorf("%s: error %v, want one with %q and the key", c.name, err, c.want)
		}
		if md.Len() != 0 {
			t.Errorf("%s: the key was set", c.name)
		}
	}
}

func TestValueString(t *testing.T) {
	long := make([]string, 20)
	for i := range long {
		long[i] = "x"
	}
	cases := []struct {
		v    any
		want string
	}{
		{uint8(7), "7"}, {int64(-7), "-7"}, {true, "true"}, {"a\nb", `"a\nb"`}, {float32(0.1), "0.1"},
		{[]int32{1, 2}, "[1, 2]"}, {[]string{}, "[]"},
		{long, `["x", "x", "x", "x", "x", "x", "x", "x", … 20 in all]`},
	}
	for _, c := range cases {
		v, err := NewValue(c.v)
		if err != nil || v.String() != c.want {
			t.Errorf("%v: %q, %v; want %q", c.v, v.String(), err, c.want)
		}
	}
	if got := (Value{}).String(); got != "nothing" {
		t.Errorf("zero Value prints %q", got)
	}
	if got := ValueType(77).String(); got != "type(77)" {
		t.Errorf("unknown type prints %q", got)
	}
}

func TestMetadataJSON(t *testing.T) {
	md := &Metadata{}
	mustSet(t, md, "z", float32(0.1))
	mustSet(t, md, "bytes", []uint8{1, 2})
	mustSet(t, md, "odd", []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1})
	mustSet(t, md, "text", []string{"a", "\xff"})
	inner, err := NewValue([]float32{float32(math.Inf(1))})
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, md, "nested", []Value{inner})
	got, err := json.Marshal(md)
	want := `{"z":0.1,"bytes":[1,2],"odd":["NaN","Infinity","-Infinity",1],"text":["a","\ufffd"],"nested":[["Infinity"]]}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if got, err := json.Marshal(&Metadata{}); err != nil || string(got) != "{}" {
		t.Errorf("empty metadata: %s, %v", got, err)
	}
}
