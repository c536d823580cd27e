package quant

import (
	"fmt"
	"strings"
	"testing"
)

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		typ      Type
		number   uint32
		name     string
		len, per int
	}{
		{F32, 0, "F32", 1, 4},
		{F16, 1, "F16", 1, 2},
		{Q4_0, 2, "Q4_0", 32, 18},
		{Q4_1, 3, "Q4_1", 32, 20},
		{Q5_0, 6, "Q5_0", 32, 22},
		{Q5_1, 7, "Q5_1", 32, 24},
		{Q8_0, 8, "Q8_0", 32, 34},
		{Q2_K, 10, "Q2_K", 256, 84},
		{Q3_K, 11, "Q3_K", 256, 110},
		{Q4_K, 12, "Q4_K", 256, 144},
		{Q5_K, 13, "Q5_K", 256, 176},
		{Q6_K, 14, "Q6_K", 256, 210},
		{IQ4_NL, 20, "IQ4_NL", 32, 18},
		{IQ4_XS, 23, "IQ4_XS", 256, 136},
		{BF16, 30, "BF16", 1, 2},
	} {
		if uint32(c.typ) != c.number || c.typ.String() != c.name || c.typ.BlockLen() != c.len || c.typ.BlockBytes() != c.per {
			t.Errorf("%d: %s has blocks of %d values in %d bytes; want %v", c.typ, c.typ, c.typ.BlockLen(), c.typ.BlockBytes(), c)
		}
		if !c.typ.CanDecode() || !c.typ.CanEncode() {
			t.Errorf("%s: CanDecode %v, CanEncode %v", c.typ, c.typ.CanDecode(), c.typ.CanEncode())
		}
		for _, name := range []string{c.name, strings.ToLower(c.name)} {
			if got, err := Parse(name); err != nil || got != c.typ {
				t.Errorf("Parse(%q) = %s, %v", name, got, err)
			}
		}
		if n, err := c.typ.RowBytes(3 * c.len); err != nil || n != 3*c.per {
			t.Errorf("%s.RowBytes(%d) = %d, %v; want %d", c.typ, 3*c.len, n, err, 3*c.per)
		}
	}
	if n := len(Types()); n != 15 {
		t.Errorf("%d types; want 15", n)
	}
}

func TestUnsupportedTypes(t *testing.T) {
	for typ, name := range map[Type]string{
		9: "Q8_1", 16: "IQ2_XXS", 28: "F64", 39: "MXFP4", 99: "type(99)", 1 << 31: "type(2147483648)", 1<<32 - 1: "type(4294967295)",
	} {
		if typ.String() != name {
			t.Errorf("type %d is named %s; want %s", uint32(typ), typ, name)
		}
		if typ.CanDecode() || typ.CanEncode() || typ.BlockLen() != 0 || typ.BlockBytes() != 0 {
			t.Errorf("%s seems to be supported", typ)
		}
		wantError(t, "type "+name+" is not supported", func() error { _, err := typ.RowBytes(0); return err })
		wantError(t, "type "+name+" is not supported", func() error { return Decode(typ, nil, nil) })
		wantError(t, "type "+name+" is not supported", func() error { return Encode(typ, nil, nil) })
	}
	wantError(t, "type IQ2_XXS is not supported; supported are F32, F16, Q4_0,", func() error { _, err := Parse("iq2_xxs"); return err })
	wantError(t, `unknown type "Q9_9"; supported are F32`, func() error { _, err := Parse("Q9_9"); return err })
	wantError(t, `unknown type "type(99)"`, func() error { _, err := Parse("type(99)"); return err })
	wantError(t, `unknown type ""`, func() error { _, err := Parse(""); return err })
}

func TestWrongSizes(t *testing.T) {
	for _, typ := range Types() {
		n, size := typ.BlockLen(), typ.BlockBytes()
		values, bytes := make([]float32, 2*n), make([]byte, 2*size)
		wantError(t, "not", func() error { return Decode(typ, values, bytes[1:]) })
		wantError(t, "not", func() error { return Decode(typ, values[:n], bytes) })
		wantError(t, "not", func() error { return Decode(typ, values, nil) })
		wantError(t, "not", func() error { return Encode(typ, bytes[1:], values) })
		wantError(t, "not", func() error { return Encode(typ, bytes, values[:n]) })
		wantError(t, "not", func() error { return Encode(typ, nil, values) })
		if n > 1 {
			wantError(t, "whole number", func() error { return Decode(typ, values[1:], bytes) })
			wantError(t, "whole number", func() error { return Encode(typ, bytes, values[1:]) })
			wantError(t, "whole number", func() error { _, err := typ.RowBytes(n + 1); return err })
		}
		wantError(t, fmt.Sprintf("%d values are not", -n), func() error { _, err := typ.RowBytes(-n); return err })
		if size > n {
			wantError(t, "more bytes than an int holds", func() error { _, err := typ.RowBytes(maxInt / n * n); return err })
		}
		for _, f := range []func() error{
			func() error { return Decode(typ, values, bytes) },
			func() error { return Encode(typ, bytes, values) },
			func() error { return Decode(typ, nil, nil) },
			func() error { return Encode(typ, nil, nil) },
		} {
			if err := f(); err != nil {
				t.Errorf("%s: %v", typ, err)
			}
		}
	}
}

func wantError(t *testing.T, text string, f func() error) {
	t.Helper()
	if err := f(); err == nil || !strings.Contains(err.Error(), text) || strings.Count(err.Error(), "quant:") != 1 {
		t.Errorf("error %v; want one with %q and one prefix", err, text)
	}
}
