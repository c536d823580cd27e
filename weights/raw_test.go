package weights

import (
	"encoding/binary"
	"math"
)

// raw builds the bytes of a GGUF file field by field, sound or not, independently of Writer.
type raw struct{ b []byte }

func (r *raw) u8(x uint8) *raw {
	r.b = append(r.b, x)
	return r
}

func (r *raw) u16(x uint16) *raw {
	r.b = binary.LittleEndian.AppendUint16(r.b, x)
	return r
}

func (r *raw) u32(x uint32) *raw {
	r.b = binary.LittleEndian.AppendUint32(r.b, x)
	return r
}

func (r *raw) u64(x uint64) *raw {
	r.b = binary.LittleEndian.AppendUint64(r.b, x)
	return r
}

func (r *raw) f32(x float32) *raw { return r.u32(math.Float32bits(x)) }

func (r *raw) text(s string) *raw {
	r.b = append(r.b, s...)
	return r
}

func (r *raw) str(s string) *raw { return r.u64(uint64(len(s))).text(s) }

// key begins a metadata entry.
func (r *raw) key(name string, t ValueType) *raw { return r.str(name).u32(uint32(t)) }

// array begins the value of an entry of type array.
func (r *raw) array(elem ValueType, n uint64) *raw { return r.u32(uint32(elem)).u64(n) }

// tensor adds the description of a tensor.
func (r *raw) tensor(name string, t uint32, offset uint64, shape ...uint64) *raw {
	r.str(name).u32(uint32(len(shape)))
	for _, d := range shape {
		r.u64(d)
	}
	return r.u32(t).u64(offset)
}

// data ends the header and adds n bytes 0, 1, 2, ….
func (r *raw) data(n int) *raw {
	for len(r.b)%32 != 0 {
		r.u8(0)
	}
	for i := range n {
		r.u8(uint8(i))
	}
	return r
}

// header begins a file of version 3.
func header(tensors, keys uint64) *raw { return headerOf(3, tensors, keys) }

func headerOf(version uint32, tensors, keys uint64) *raw {
	return new(raw).text("GGUF").u32(version).u64(tensors).u64(keys)
}
