package kernels

import (
	"encoding/binary"

	"github.com/mneme-lm/mneme/weights/quant"
)

// MoveKeys makes key number to+i of dst what key number from[i] of src is. The numbers ascend. dst and src may be the same
// keys if none moves up, to+i ≤ from[i] for all i: what is kept of them is then moved together.
func MoveKeys(dst []byte, to int, src []byte, from []int32, t quant.Type, dim int) {
	for len(from) > 0 {
		first := int(from[0])
		room := KeyGroup - max(to%KeyGroup, first%KeyGroup)
		n := 1
		for n < len(from) && n < room && int(from[n]) == first+n {
			n++
		}
		moveLanes(keyLanes(dst, t, dim, to), keyLanes(src, t, dim, first), n, t, dim)
		to, from = to+n, from[n:]
	}
}

// lanes are keys that begin with the one in the given lane of so many that are interleaved.
type lanes struct {
	data        []byte
	lane, width int
}

// keyLanes are the keys of a group from key number r on.
func keyLanes(keys []byte, t quant.Type, dim, r int) lanes {
	group := KeyGroup * (dim / t.BlockLen()) * t.BlockBytes()
	return lanes{keys[r/KeyGroup*group:][:group], r % KeyGroup, KeyGroup}
}

// oneKey is a key given as a row, which is interleaved with no other.
func oneKey(row []byte) lanes { return lanes{row, 0, 1} }

// moveLanes copies n neighbouring keys. They may lie in the same group, even overlap.
func moveLanes(dst, src lanes, n int, t quant.Type, dim int) {
	if n == dst.width && n == src.width {
		copy(dst.data, src.data)
		return
	}
	if t != quant.Q8_0 {
		moveValues(dst, src, t.BlockBytes(), n, dim)
		return
	}
	const scale, values = 2, 32
	for range dim / values {
		moveValues(dst, src, scale, n, 1)
		dst.data, src.data = dst.data[scale*dst.width:], src.data[scale*src.width:]
		moveValues(dst, src, 1, n, values)
		dst.data, src.data = dst.data[values*dst.width:], src.data[values*src.width:]
	}
}

// moveValues copies so many values, of size bytes, of n neighbouring keys.
func moveValues(dst, src lanes, size, n, values int) {
	to, from := dst.data[dst.lane*size:], src.data[src.lane*size:]
	toStep, fromStep := dst.width*size, src.width*size
	if n == 1 && toStep == fromStep { // both are groups
		move := moveOne2
		switch size {
		case 1:
			move = moveOne1
		case 4:
			move = moveOne4
		}
		done := move(to, from, values)
		values -= done
		to, from = to[done*toStep:], from[done*fromStep:]
	}
	i, j := 0, 0
	switch bytes := n * size; bytes {
	case 1:
		for range values {
			to[i] = from[j]
			i, j = i+toStep, j+fromStep
		}
	case 2:
		for range values {
			binary.LittleEndian.PutUint16(to[i:], binary.LittleEndian.Uint16(from[j:]))
			i, j = i+toStep, j+fromStep
		}
	case 4:
		for range values {
			binary.LittleEndian.PutUint32(to[i:], binary.LittleEndian.Uint32(from[j:]))
			i, j = i+toStep, j+fromStep
		}
	case 8:
		for range values {
			binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[j:]))
			i, j = i+toStep, j+fromStep
		}
	default:
		for range values {
			copy(to[i:i+bytes], from[j:j+bytes])
			i, j = i+toStep, j+fromStep
		}
	}
}

// moveOne2 copies values of two bytes, four at a time, of one key from a group to another, and returns how many.
func moveOne2(to, from []byte, values int) int {
	const step = 2 * KeyGroup
	i := 0
	for ; values-i > 4; i += 4 {
		d, s := (*[4 * step]byte)(to), (*[4 * step]byte)(from)
		a, b := binary.LittleEndian.Uint16(s[:]), binary.LittleEndian.Uint16(s[step:])
		c, e := binary.LittleEndian.Uint16(s[2*step:]), binary.LittleEndian.Uint16(s[3*step:])
		binary.LittleEndian.PutUint16(d[:], a)
		binary.LittleEndian.PutUint16(d[step:], b)
		binary.LittleEndian.PutUint16(d[2*step:], c)
		binary.LittleEndian.PutUint16(d[3*step:], e)
		to, from = to[4*step:], from[4*step:]
	}
	return i
}

// moveOne4 does so with values of four bytes.
func moveOne4(to, from []byte, values int) int {
	const step = 4 * KeyGroup
	i := 0
	for ; values-i > 4; i += 4 {
		d, s := (*[4 * step]byte)(to), (*[4 * step]byte)(from)
		a, b := binary.LittleEndian.Uint32(s[:]), binary.LittleEndian.Uint32(s[step:])
		c, e := binary.LittleEndian.Uint32(s[2*step:]), binary.LittleEndian.Uint32(s[3*step:])
		binary.LittleEndian.PutUint32(d[:], a)
		binary.LittleEndian.PutUint32(d[step:], b)
		binary.LittleEndian.PutUint32(d[2*step:], c)
		binary.LittleEndian.PutUint32(d[3*step:], e)
		to, from = to[4*step:], from[4*step:]
	}
	return i
}

// moveOne1 does so with bytes.
func moveOne1(to, from []byte, values int) int {
	const step = KeyGroup
	i := 0
	for ; values-i > 4; i += 4 {
		d, s := (*[4 * step]byte)(to), (*[4 * step]byte)(from)
		d[0], d[step], d[2*step], d[3*step] = s[0], s[step], s[2*step], s[3*step]
		to, from = to[4*step:], from[4*step:]
	}
	return i
}
