package quant

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"testing"
)

// The blocks below were worked by hand from the layouts in legacy.go, kquant.go and iq4.go. Float16 numbers in them,
// low byte first: 003c 1, 0038 0.5, 0034 0.25, 0040 2, 00bc -1, 00b8 -0.5.
var goldenBlocks = []struct {
	typ    Type
	name   string
	hex    string
	rest   float32         // the value of all that are not listed
	values map[int]float32 // by index
}{
	{
		typ: Q4_0, name: "codes share bytes with those 16 later",
		hex:    "0038 " + "1f 80 08 88*13", // d = 0.5; low halves are values 0 …, high halves 16 …
		rest:   0,
		values: map[int]float32{0: 3.5, 16: -3.5, 1: -4, 17: 0, 2: 0, 18: -4},
	},
	{
		typ: Q4_1, name: "offset",
		hex:    "0038 00bc " + "1f 00*14 f0", // d = 0.5, m = -1
		rest:   -1,
		values: map[int]float32{0: 6.5, 16: -0.5, 15: -1, 31: 6.5},
	},
	{
		typ: Q5_0, name: "fifth bits",
		hex:    "003c " + "01 00 02 80 " + "00 f0 00*13 ff", // bits 0, 17 and 31
		rest:   -16,
		values: map[int]float32{0: 0, 17: 15, 31: 15, 15: -1},
	},
	{
		typ: Q5_1, name: "fifth bits and offset",
		hex:    "003c 00b8 " + "01 80 01 00 " + "21 00*15", // bits 0, 15 and 16
		rest:   -0.5,
		values: map[int]float32{0: 16.5, 16: 17.5, 15: 15.5},
	},
	{
		typ: Q8_0, name: "signed codes",
		hex:    "0034 " + "01 ff 7f 80 00*27 81",
		rest:   0,
		values: map[int]float32{0: 0.25, 1: -0.25, 2: 31.75, 3: -32, 31: -31.75},
	},
	{
		typ: Q2_K, name: "every sub-block field",
		// Scales in the lower halves, offsets in the upper: sub-block 0 has s 2, m 1; 1 has s 0, m 3; 2 has s 15, m 0;
		// 9 (values 144 … 159) has s 1, m 15. Codes: byte 0 holds values 0, 32, 64, 96; byte 32 values 128, 160, 192, 224;
		// byte 48 values 144, 176, 208, 240.
		hex:  "12 30 0f 00*6 f1 00*6 " + "0b 00*31 " + "00*16 e6 00*15 " + "003c 0038",
		rest: 0,
		values: merge(span(0, 16, -0.5), span(16, 32, -1.5), span(144, 160, -7.5), map[int]float32{
			0: 2*3 - 0.5, 32: 15 * 2, // bits 0 … 1 of 0x0b are 3, bits 2 … 3 are 2
			144: 2 - 7.5, // bits 0 … 1 of 0xe6 are 2; the other three have s 0
		}),
	},
	{
		typ: Q3_K, name: "every sub-block field",
		// Scales less 32: all 32 (stored 0) unless given. Sub-block 0: low half of byte 0 is 1, upper bits at bit 0 of byte 8
		// are 2: 33. Sub-block 4: low half of byte 4 is 15, upper bits at bit 2 of byte 8 are 1: 31. Sub-block 15: high half
		// of byte 7 is 14, upper bits at bit 6 of byte 11 are 3: 62.
		// Third bits: byte 0 bit 0 is value 0, byte 31 bit 7 is value 255. Codes: byte 0 value 0 in bits 0 … 1,
		// value 64 in bits 4 … 5; byte 63 value 255 in bits 6 … 7.
		hex: "01 00*30 80 " + "32 00*62 c0 " + "01 00 00 00 0f 00 00 e0 06 00 00 c0 " + "0038",
		// Without third bits and codes a value is 0.5*(0-32)*(0-4), and the other sub-blocks have s 0.
		rest: 64,
		values: merge(span(0, 16, 0.5*1*-4), span(64, 80, 0.5*-1*-4), span(240, 256, 0.5*30*-4), map[int]float32{
			0: 0.5 * 1 * (2 + 4 - 4), 64: 0.5 * -1 * (3 - 4), 255: 0.5 * 30 * (3 + 4 - 4),
		}),
	},
	{
		typ: Q4_K, name: "every sub-block field",
		// Sub-block 0: s = byte 0's lower six bits = 3, m = byte 4's = 2. Sub-block 5: s = low half of byte 9 | byte 1's
		// upper two bits = 11 | 2<<4 = 43, m = high half of byte 9 | byte 5's upper two bits = 5 | 3<<4 = 53.
		hex:  "003c 0038 " + "03 80 00 00 02 c0 00 00 00 5b 00 00 " + "2f 00*31 " + "00*32 " + "00*31 e1 " + "00*32",
		rest: 0,
		// Byte 0 holds values 0 and 32; byte 95 holds values 159 and 191, of sub-blocks 4 and 5.
		values: merge(span(0, 32, -1), span(160, 192, -26.5), map[int]float32{0: 3*15 - 1, 191: 43*14 - 26.5}),
	},
	{
		typ: Q5_K, name: "fifth bits",
		// The scales as for Q4_K. Fifth bits: byte 0 bit 0 is value 0, byte 31 bit 5 is value 191.
		hex: "003c 0038 " + "03 80 00 00 02 c0 00 00 00 5b 00 00 " + "01 00*30 20 " +
			"2f 00*31 " + "00*32 " + "00*31 e1 " + "00*32",
		rest:   0,
		values: merge(span(0, 32, -1), span(160, 192, -26.5), map[int]float32{0: 3*31 - 1, 191: 43*30 - 26.5}),
	},
	{
		typ: Q6_K, name: "every field",
		// Low codes: byte 0 holds values 0 and 64, byte 127 values 191 and 255. High codes: byte 0 holds values 0, 32, 64
		// and 96, byte 63 values 159, 191, 223, 255.
		hex: "21 00*126 f0 " + "e4 00*62 c0 " + "01 00 ff 00 02 00*10 7f " + "0038",
		// With a scale of 0 every value is 0.
		rest: 0,
		values: merge(span(0, 16, 0.5*1*-32), span(32, 48, 0.5*-1*-32), span(64, 80, 0.5*2*-32), span(240, 256, 0.5*127*-32),
			map[int]float32{
				0: 0.5 * (1 - 32), 32: 0.5 * -1 * (16 - 32), 64: 0.5 * 2 * (2 + 32 - 32), // 0xe4: 0, 1, 2, 3
				255: 0.5 * 127 * (15 + 48 - 32),
			}),
	},
	{
		typ: IQ4_NL, name: "levels",
		hex:    "0038 " + "f0 18 88*14",
		rest:   0.5,
		values: map[int]float32{0: -63.5, 16: 56.5, 1: 0.5, 17: -52},
	},
	{
		typ: IQ4_XS, name: "scales",
		// Scales less 32: sub-block 0 has lower bits 1 (byte 0's low half), upper bits 2: 33 - 32. Sub-block 7 has lower
		// bits 15 (byte 3's high half), upper bits 3 (bits 14 … 15): 63 - 32. The others have upper bits 2: 0.
		hex:    "003c " + "aaea " + "01 00 00 f0 " + "0f 00*15 " + "00*96 " + "00*15 f0",
		rest:   0,
		values: merge(span(0, 32, -127), span(224, 256, -127*31), map[int]float32{0: 113, 255: 113 * 31}),
	},
}

func span(from, to int, v float32) map[int]float32 {
	m := map[int]float32{}
	for i := from; i < to; i++ {
		m[i] = v
	}
	return m
}

// merge joins maps; later ones win.
func merge(maps ...map[int]float32) map[int]float32 {
	all := map[int]float32{}
	for _, m := range maps {
		for i, v := range m {
			all[i] = v
		}
	}
	return all
}

// parseHex reads groups of bytes in hexadecimal; "00*31" is a group 31 times.
func parseHex(t *testing.T, text string) (data []byte) {
	t.Helper()
	for _, field := range strings.Fields(text) {
		digits, times, repeated := strings.Cut(field, "*")
		group, err := hex.DecodeString(digits)
		n := 1
		if err == nil && repeated {
			n, err = strconv.Atoi(times)
		}
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, bytes.Repeat(group, n)...)
	}
	return data
}

func TestGoldenBlocks(t *testing.T) {
	for _, c := range goldenBlocks {
		t.Run(c.typ.String()+" "+c.name, func(t *testing.T) {
			data := parseHex(t, c.hex)
			got := make([]float32, c.typ.BlockLen())
			if err := Decode(c.typ, got, data); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				want, ok := c.values[i]
				if !ok {
					want = c.rest
				}
				if v != want {
					t.Errorf("value %d is %g; want %g", i, v, want)
				}
			}
		})
	}
}

// TestDecodeManyBlocks checks that blocks are decoded one after the other.
func TestDecodeManyBlocks(t *testing.T) {
	for _, c := range goldenBlocks {
		block := parseHex(t, c.hex)
		one, three := make([]float32, c.typ.BlockLen()), make([]float32, 3*c.typ.BlockLen())
		zeros := make([]byte, len(block))
		if err := Decode(c.typ, one, block); err != nil {
			t.Fatal(err)
		}
		if err := Decode(c.typ, three, append(append(append([]byte{}, block...), zeros...), block...)); err != nil {
			t.Fatal(err)
		}
		n := len(one)
		for i, v := range one {
			if three[i] != v || three[n+i] != 0 || three[2*n+i] != v {
				t.Fatalf("%s: value %d of three blocks: %g, %g, %g; want %g, 0, %g", c.typ, i, three[i], three[n+i], three[2*n+i], v, v)
			}
		}
	}
}

func TestDecodeNonFiniteScale(t *testing.T) {
	data := parseHex(t, "007c 80 18 00*14") // d = +Inf: codes 0 (-8) and 8 (0) and 1
	y := make([]float32, 32)
	if err := Decode(Q4_0, y, data); err != nil {
		t.Fatal(err)
	}
	if !math.IsInf(float64(y[0]), -1) || !math.IsNaN(float64(y[16])) {
		t.Errorf("infinite scale: values %g and %g; want -Inf and NaN", y[0], y[16])
	}
}
