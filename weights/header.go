package weights

import (
	"bufio"
	"encoding/binary"
	"math"
)

// headerWriter writes the fields of a header and counts their bytes. After an error it does nothing more.
type headerWriter struct {
	out     *bufio.Writer
	written int
	err     error
	scratch [8]byte
}

func (h *headerWriter) bytes(b []byte) {
	if h.err == nil {
		_, h.err = h.out.Write(b)
		h.written += len(b)
	}
}

func (h *headerWriter) uint8(x uint8) { h.bytes(append(h.scratch[:0], x)) }

func (h *headerWriter) uint16(x uint16) { h.bytes(binary.LittleEndian.AppendUint16(h.scratch[:0], x)) }

func (h *headerWriter) uint32(x uint32) { h.bytes(binary.LittleEndian.AppendUint32(h.scratch[:0], x)) }

func (h *headerWriter) uint64(x uint64) { h.bytes(binary.LittleEndian.AppendUint64(h.scratch[:0], x)) }

func (h *headerWriter) float32(x float32) { h.uint32(math.Float32bits(x)) }

func (h *headerWriter) float64(x float64) { h.uint64(math.Float64bits(x)) }

func (h *headerWriter) bool(x bool) {
	if x {
		h.uint8(1)
	} else {
		h.uint8(0)
	}
}

func (h *headerWriter) string(s string) {
	h.uint64(uint64(len(s)))
	if h.err == nil {
		_, h.err = h.out.WriteString(s)
		h.written += len(s)
	}
}

// value writes a value without its type.
func (h *headerWriter) value(v Value) {
	if v.typ == TypeArray {
		h.uint32(uint32(v.elem))
		h.uint64(uint64(v.Len()))
		h.elements(v)
		return
	}
	switch x := v.any.(type) {
	case uint8:
		h.uint8(x)
	case int8:
		h.uint8(uint8(x))
	case uint16:
		h.uint16(x)
	case int16:
		h.uint16(uint16(x))
	case uint32:
		h.uint32(x)
	case int32:
		h.uint32(uint32(x))
	case float32:
		h.float32(x)
	case bool:
		h.bool(x)
	case string:
		h.string(x)
	case uint64:
		h.uint64(x)
	case int64:
		h.uint64(uint64(x))
	case float64:
		h.float64(x)
	}
}

func (h *headerWriter) elements(v Value) {
	switch s := v.any.(type) {
	case []uint8:
		h.bytes(s)
	case []int8:
		each(s, func(x int8) { h.uint8(uint8(x)) })
	case []uint16:
		each(s, h.uint16)
	case []int16:
		each(s, func(x int16) { h.uint16(uint16(x)) })
	case []uint32:
		each(s, h.uint32)
	case []int32:
		each(s, func(x int32) { h.uint32(uint32(x)) })
	case []float32:
		each(s, h.float32)
	case []bool:
		each(s, h.bool)
	case []string:
		each(s, h.string)
	case []uint64:
		each(s, h.uint64)
	case []int64:
		each(s, func(x int64) { h.uint64(uint64(x)) })
	case []float64:
		each(s, h.float64)
	case []Value:
		each(s, h.value)
	}
}

func each[T any](s []T, f func(T)) {
	for _, x := range s {
		f(x)
	}
}
