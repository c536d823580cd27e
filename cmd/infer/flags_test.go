package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseTokens(t *testing.T) {
	for in, want := range map[string][]int32{
		"1": {1}, "1,2,3": {1, 2, 3}, " 1 , 2 ": {1, 2}, "[1, 2]": {1, 2}, "1 2 3": {1, 2, 3}, "0": {0}, "2147483647": {math.MaxInt32},
	} {
		if got, err := parseTokens(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", " ", "[]", "[ ]", ",", "1,", "1,,2", "[1", "1]", "-1", "1.5", "2147483648", "0x1", "a"} {
		if got, err := parseTokens(in); err == nil {
			t.Errorf("%q: %v, want an error", in, got)
		}
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add("1,2,3")
	f.Add("[1 2]")
	f.Fuzz(func(t *testing.T, s string) {
		ids, err := parseTokens(s)
		if err == nil && (len(ids) == 0 || slices.Min(ids) < 0) {
			t.Errorf("%q: %v", s, ids)
		}
	})
}

func TestParseBias(t *testing.T) {
	inf := float32(math.Inf(1))
	for in, want := range map[string]struct {
		id   int32
		bias float32
	}{
		"5+1": {5, 1}, "5-1": {5, -1}, "15043+1.5": {15043, 1.5}, "0-0.25": {0, -0.25}, "7-inf": {7, -inf}, "7+inf": {7, inf}, "7+1e-3": {7, 1e-3},
	} {
		if id, bias, err := parseBias(in); err != nil || id != want.id || bias != want.bias {
			t.Errorf("%q: %d, %g, %v", in, id, bias, err)
		}
	}
	for _, in := range []string{"", "5", "+1", "5+", "5-", "5++1", "5+-1", "5--1", "-5+1", "a+1", "5+a", "5+nan", "5+1e99", "99999999999+1"} {
		if id, bias, err := parseBias(in); err == nil {
			t.Errorf("%q: %d, %g, want an error", in, id, bias)
		}
	}
}

func FuzzParseBias(f *testing.F) {
	f.Add("15043+1")
	f.Add("5-inf")
	f.Fuzz(func(t *testing.T, s string) {
		if id, bias, err := parseBias(s); err == nil && (id < 0 || bias != bias) {
			t.Errorf("%q: %d, %g", s, id, bias)
		}
	})
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		``: "", `a\nb`: "a\nb", `\t\r\\`: "\t\r\\", `\'\"`: `'"`, `\x41\x20`: "A ", `\`: `\`, `\q`: `\q`, `\x4`: `\x4`, `é\n`: "é\n", `\\n`: `\n`, `\u00e9`: `\u00e9`,
		"\xff\\n": "\xff\n", `\xff`: "\xff",
	} {
		if got := (&promptFlags{escape: true}).unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if got := (&promptFlags{}).unescape(in); got != in {
			t.Errorf("not wanted, %q: %q", in, got)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add(`a\nb\x41\`)
	f.Fuzz(func(t *testing.T, s string) {
		got := (&promptFlags{escape: true}).unescape(s)
		if len(got) > len(s) || !strings.Contains(s, `\`) && got != s {
			t.Errorf("%q: %q", s, got)
		}
	})
}

func TestSeed(t *testing.T) {
	for in, want := range map[string]uint64{"0": 0, "42": 42, "18446744073709551615": math.MaxUint64} {
		var s seed
		if err := s.Set(in); err != nil || s.pick() != want || s.String() != in {
			t.Errorf("%q: %d, %q, %v", in, s.pick(), s.String(), err)
		}
	}
	s := seed{5, true}
	if err := s.Set("-1"); err != nil || s.given || s.String() != "-1" {
		t.Errorf("-1: %+v, %v", s, err)
	}
	if a, b := s.pick(), s.pick(); a == b || max(a, b) > math.MaxUint32 {
		t.Errorf("random seeds %d and %d", a, b)
	}
}

func TestByteSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 30: "1.0 GiB", math.MaxInt64: "8.0 EiB"} {
		if got := byteSize(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestPiece(t *testing.T) {
	for in, want := range map[string]string{"": "", "ab": "ab", "é": "é", "\xc3": "<0xC3>", "a\xe2\x80b": "a<0xE2><0x80>b", "\uFFFD": "\uFFFD"} {
		if got := piece([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("a\nb\x1b[31m\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := oneLine(s)
		if strings.ContainsAny(got, "\n\r\x1b\u202e\u2028\u0085") || !utf8.ValidString(got) && utf8.ValidString(s) {
			t.Errorf("%q: %q", s, got)
		}
	})
}

func TestLogitJSON(t *testing.T) {
	if b, err := (logit{3, 0.1}).MarshalJSON(); err != nil || string(b) != "[3,0.1]" {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := (logit{3, float32(math.NaN())}).MarshalJSON(); err == nil {
		t.Errorf("NaN: %s", b)
	}
}
