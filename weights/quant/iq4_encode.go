package quant

import "encoding/binary"

// levelIndex[i] is the index of the level nearest to (i-256)/2 … (i-255)/2. All midpoints between neighbouring levels
// are multiples of one half, so that no midpoint lies inside such an interval.
var levelIndex = makeLevelIndex()

func makeLevelIndex() (index [512]byte) {
	level := 0
	for i := range index {
		v := (float32(i) - 256) / 2
		for level < 15 && v >= (iq4Levels[level]+iq4Levels[level+1])/2 {
			level++
		}
		index[i] = byte(level)
	}
	return index
}

// nearestLevel returns the index of the level nearest to v.
func nearestLevel(v float64) byte {
	return levelIndex[min(max(int(2*v+256), 0), 511)]
}

// The levels' spacing makes the scale that maps the largest value to an outer level no better than its neighbours.
var (
	triesIQ4_NL = []float64{127, 113, 100, 106, 120, 134}
	fitIQ4_XS   = superScale{grid: grid{levels: true}, sub: 32, s: 32, least: 100, most: 140, tries: 12, peaks: []float64{105, 113}}
)

const baseIQ4 = 2 // of weights.bySquare

func encodeIQ4_NL(dst []byte, src []float32) error {
	var w weights
	for ; len(src) >= block32; dst, src = dst[18:], src[block32:] {
		b := (*[18]byte)(dst)
		w.load(src[:block32])
		d := fitScale(grid{levels: true}, w.bySquare(block32, baseIQ4), triesIQ4_NL)
		putHalf(b[:], d)
		packLevels((*[16]byte)(b[2:]), (*[32]float64)(w.x[:]), inverse(d))
	}
	return nil
}

func encodeIQ4_XS(dst []byte, src []float32) error {
	var w weights
	for ; len(src) >= superBlock; dst, src = dst[136:], src[superBlock:] {
		b := (*[136]byte)(dst)
		w.load(src[:superBlock])
		d, scales := fitIQ4_XS.fit(w.bySquare(superBlock, baseIQ4))
		putHalf(b[:], d)
		var upper uint16
		clear(b[4:8])
		for sub := range 8 {
			s := scales[sub] + 32
			upper |= uint16(s >> 4 << (2 * sub))
			b[4+sub/2] |= byte(s & 15 << (sub % 2 * 4))
			inv := inverse(d * float64(scales[sub]))
			packLevels((*[16]byte)(b[8+16*sub:]), (*[32]float64)(w.x[32*sub:]), inv)
		}
		binary.LittleEndian.PutUint16(b[2:], upper)
	}
	return nil
}

func packLevels(b *[16]byte, x *[32]float64, inv float64) {
	for j := range b {
		b[j] = nearestLevel(float64(x[j]*inv)) | nearestLevel(float64(x[j+16]*inv))<<4
	}
}
