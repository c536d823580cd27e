package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// reader walks through the bytes of a file. Nothing is read or allocated before it is known that the file has it.
type reader struct {
	data []byte
	pos  int
}

func (r *reader) left() int { return len(r.data) - r.pos }

// take returns the next n bytes.
func (r *reader) take(n int) ([]byte, error) {
	if n > r.left() {
		return nil, fmt.Errorf("truncated: %d bytes are needed at offset %d, the file has %d more", n, r.pos, r.left())
	}
	b := r.data[r.pos : r.pos+n]
	r.pos += n
	return b, nil
}

func (r *reader) uint32() (uint32, error) {
	b, err := r.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) uint64() (uint64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// stringBytes returns the bytes of a string: a length of 8 bytes, then as many bytes.
func (r *reader) stringBytes() ([]byte, error) {
	start := r.pos
	n, err := r.uint64()
	if err != nil {
		return nil, err
	}
	if n > uint64(r.left()) {
		return nil, fmt.Errorf("string at offset %d has a length of %d bytes, the file has %d more", start, n, r.left())
	}
	return r.take(int(n))
}

func (r *reader) string() (string, error) {
	b, err := r.stringBytes()
	return string(b), err
}

// value reads one metadata value of type t that lies within the given number of arrays.
func (r *reader) value(t ValueType, within int) (Value, error) {
	switch t {
	case TypeString:
		s, err := r.string()
		return Value{any: s, typ: t}, err
	case TypeArray:
		return r.array(within)
	}
	if !t.known() {
		return Value{}, fmt.Errorf("unknown value type %d", uint32(t))
	}
	b, err := r.take(valueTypes[t].size)
	if err != nil {
		return Value{}, err
	}
	x, err := scalar(t, b)
	return Value{any: x, typ: t}, err
}

// scalar decodes a value of fixed size.
func scalar(t ValueType, b []byte) (any, error) {
	switch t {
	case TypeUint8:
		return b[0], nil
	case TypeInt8:
		return int8(b[0]), nil
	case TypeUint16:
		return binary.LittleEndian.Uint16(b), nil
	case TypeInt16:
		return int16(binary.LittleEndian.Uint16(b)), nil
	case TypeUint32:
		return binary.LittleEndian.Uint32(b), nil
	case TypeInt32:
		return int32(binary.LittleEndian.Uint32(b)), nil
	case TypeFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(b)), nil
	case TypeBool:
		return boolean(b[0])
	case TypeUint64:
		return binary.LittleEndian.Uint64(b), nil
	case TypeInt64:
		return int64(binary.LittleEndian.Uint64(b)), nil
	default: // TypeFloat64, the last type of fixed size
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
	}
}

func boolean(b byte) (bool, error) {
	if b > 1 {
		return false, fmt.Errorf("bool with the value %d", b)
	}
	return b == 1, nil
}

// array reads an array: the type of its elements, their number, and the elements.
func (r *reader) array(within int) (Value, error) {
	if within >= maxNesting {
		return Value{}, fmt.Errorf("arrays nested more than %d deep", maxNesting)
	}
	t, err := r.uint32()
	if err != nil {
		return Value{}, err
	}
	elem := ValueType(t)
	if !elem.known() {
		return Value{}, fmt.Errorf("array with elements of the unknown type %d", t)
	}
	count, err := r.uint64()
	if err != nil {
		return Value{}, err
	}
	if count > uint64(r.left()/valueTypes[elem].size) {
		return Value{}, fmt.Errorf("array of %d elements of type %s does not fit the %d bytes left in the file",
			count, elem, r.left())
	}
	elements, err := r.elements(elem, int(count), within+1)
	return Value{any: elements, typ: TypeArray, elem: elem}, err
}

// elements reads n elements of an array, for which the file is known to be long enough if each takes the least that
// its type can take.
func (r *reader) elements(elem ValueType, n, within int) (any, error) {
	switch elem {
	case TypeString:
		return r.strings(n)
	case TypeArray:
		return r.arrays(n, within)
	}
	b, err := r.take(n * valueTypes[elem].size)
	if err != nil {
		return nil, err
	}
	switch elem {
	case TypeUint8:
		return append(make([]uint8, 0, n), b...), nil
	case TypeInt8:
		return decode(b, 1, func(b []byte) int8 { return int8(b[0]) }), nil
	case TypeUint16:
		return decode(b, 2, binary.LittleEndian.Uint16), nil
	case TypeInt16:
		return decode(b, 2, func(b []byte) int16 { return int16(binary.LittleEndian.Uint16(b)) }), nil
	case TypeUint32:
		return decode(b, 4, binary.LittleEndian.Uint32), nil
	case TypeInt32:
		return decode(b, 4, func(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) }), nil
	case TypeFloat32:
		return decode(b, 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }), nil
	case TypeBool:
		return booleans(b)
	case TypeUint64:
		return decode(b, 8, binary.LittleEndian.Uint64), nil
	case TypeInt64:
		return decode(b, 8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }), nil
	default: // TypeFloat64, the last type of fixed size
		return decode(b, 8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }), nil
	}
}

// decode maps every size bytes of b to one element.
func decode[T any](b []byte, size int, element func([]byte) T) []T {
	out := make([]T, len(b)/size)
	for i := range out {
		out[i] = element(b[i*size:])
	}
	return out
}

func booleans(b []byte) ([]bool, error) {
	out := make([]bool, len(b))
	for i, x := range b {
		value, err := boolean(x)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		out[i] = value
	}
	return out, nil
}

// strings reads n strings. A first walk checks their lengths, so that the second can put all their bytes into one
// allocation: a vocabulary has a quarter of a million of them.
func (r *reader) strings(n int) ([]string, error) {
	start, total := r.pos, 0
	for i := range n {
		b, err := r.stringBytes()
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		total += len(b)
	}
	var all strings.Builder
	all.Grow(total)
	again := reader{data: r.data, pos: start}
	for range n {
		b, _ := again.stringBytes() // checked above
		all.Write(b)
	}
	again.pos = start
	text, out := all.String(), make([]string, n)
	for i := range out {
		b, _ := again.stringBytes()
		out[i], text = text[:len(b)], text[len(b):]
	}
	return out, nil
}

// arrays reads the n elements of an array of arrays. What the elements hold is checked as they come, hence append.
func (r *reader) arrays(n, within int) ([]Value, error) {
	out := []Value{}
	for i := range n {
		v, err := r.array(within)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		out = append(out, v)
	}
	return out, nil
}
