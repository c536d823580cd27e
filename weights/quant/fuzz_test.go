package quant

import (
	"encoding/binary"
	"math"
	"testing"
)

// FuzzDecode decodes arbitrary bytes: none panic, and each block decodes as it does alone.
func FuzzDecode(f *testing.F) {
	for _, typ := range Types() {
		f.Add(uint32(typ), make([]byte, 2*typ.BlockBytes()))
		f.Add(uint32(typ), []byte{1})
	}
	for _, c := range goldenBlocks {
		f.Add(uint32(c.typ), []byte(c.hex))
	}
	f.Fuzz(func(t *testing.T, number uint32, data []byte) {
		typ := Type(number)
		if !typ.CanDecode() {
			if err := Decode(typ, nil, data); err == nil {
				t.Fatalf("%s decodes", typ)
			}
			return
		}
		size, n := typ.BlockBytes(), typ.BlockLen()
		all := make([]float32, len(data)/size*n)
		if err := Decode(typ, all, data); (err == nil) != (len(data)%size == 0) {
			t.Fatalf("%d bytes of %s: error %v", len(data), typ, err)
		}
		one := make([]float32, n)
		for b := range len(data) / size {
			if err := Decode(typ, one, data[b*size:(b+1)*size]); err != nil {
				t.Fatal(err)
			}
			for i, v := range one {
				if got := all[b*n+i]; len(data)%size == 0 && math.Float32bits(got) != math.Float32bits(v) {
					t.Fatalf("%s: block %d value %d is %g in the row and %g alone", typ, b, i, got, v)
				}
			}
		}
	})
}

// FuzzEncode encodes arbitrary floats: none panic, what is refused deserves it, and what is not comes back finite.
func FuzzEncode(f *testing.F) {
	for _, typ := range Types() {
		f.Add(uint32(typ), make([]byte, 4*typ.BlockLen()))
		f.Add(uint32(typ), []byte{1, 2, 3, 4, 5})
		row := make([]byte, 4*256)
		for i, v := range normal(256, uint64(typ)) {
			binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(v))
		}
		f.Add(uint32(typ), row)
	}
	f.Fuzz(func(t *testing.T, number uint32, data []byte) {
		typ := Type(number)
		if !typ.CanEncode() {
			return
		}
		x := make([]float32, len(data)/4/typ.BlockLen()*typ.BlockLen())
		encodable := true
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			size := math.Abs(float64(x[i]))
			switch {
			case typ.BlockLen() > 1:
				encodable = encodable && size <= maxHalf
			case typ == F16:
				encodable = encodable && !(size >= 65520 && !math.IsInf(size, 1))
			case typ == BF16:
				encodable = encodable && !(size >= math.Ldexp(511, 119) && !math.IsInf(size, 1))
			}
		}
		out := make([]byte, len(x)/typ.BlockLen()*typ.BlockBytes())
		if err := Encode(typ, out, x); (err == nil) != encodable {
			t.Fatalf("%s: encodable %v, error %v", typ, encodable, err)
		} else if err != nil {
			return
		}
		y := make([]float32, len(x))
		if err := Decode(typ, y, out); err != nil {
			t.Fatal(err)
		}
		for i, v := range y {
			if typ.BlockLen() > 1 && math.IsInf(float64(v), 0) || v != v && x[i] == x[i] {
				t.Fatalf("%s: value %d: %g comes back as %g", typ, i, x[i], v)
			}
		}
	})
}
