package weights

import (
	"fmt"
	"math"
	"strings"
)

// ValueType is the type of a metadata value, numbered as in GGUF files.
type ValueType uint32

// The types of metadata values.
const (
	TypeUint8 ValueType = iota
	TypeInt8
	TypeUint16
	TypeInt16
	TypeUint32
	TypeInt32
	TypeFloat32
	TypeBool
	TypeString
	TypeArray
	TypeUint64
	TypeInt64
	TypeFloat64
)

var valueTypes = [...]struct {
	name string
	size int // bytes of a value in a file; of strings and arrays, the least that one takes
}{
	TypeUint8:   {"uint8", 1},
	TypeInt8:    {"int8", 1},
	TypeUint16:  {"uint16", 2},
	TypeInt16:   {"int16", 2},
	TypeUint32:  {"uint32", 4},
	TypeInt32:   {"int32", 4},
	TypeFloat32: {"float32", 4},
	TypeBool:    {"bool", 1},
	TypeString:  {"string", 8},
	TypeArray:   {"array", 12},
	TypeUint64:  {"uint64", 8},
	TypeInt64:   {"int64", 8},
	TypeFloat64: {"float64", 8},
}

// String returns the type's name, that of the Go type but for "array".
func (t ValueType) String() string {
	if !t.known() {
		return fmt.Sprintf("type(%d)", uint32(t))
	}
	return valueTypes[t].name
}

func (t ValueType) known() bool { return uint64(t) < uint64(len(valueTypes)) }

// Value is one metadata value. The zero Value holds nothing and cannot be written.
type Value struct {
	any  any // the Go type that ValueType names; of an array the slice, []Value for an array of arrays
	typ  ValueType
	elem ValueType // of an array
}

// NewValue returns the value that holds v: a bool, string, float32, float64 or sized integer, a slice of one of those,
// or, for an array of arrays, a []Value of arrays. int and uint are refused: a file says how wide its integers are. A
// slice is kept, not copied.
func NewValue(v any) (Value, error) {
	if nested, ok := v.([]Value); ok {
		return newNested(nested)
	}
	if t, ok := typeOf(v); ok {
		return Value{any: v, typ: t}, nil
	}
	if t, ok := elemTypeOf(v); ok {
		return Value{any: v, typ: TypeArray, elem: t}, nil
	}
	return Value{}, fmt.Errorf("a value of Go type %T cannot be stored", v)
}

func newNested(nested []Value) (Value, error) {
	value := Value{any: nested, typ: TypeArray, elem: TypeArray}
	for i, v := range nested {
		if v.typ != TypeArray || v.any == nil {
			return Value{}, fmt.Errorf("element %d of an array of arrays is not an array", i)
		}
	}
	if value.depth() > maxNesting {
		return Value{}, fmt.Errorf("arrays nested more than %d deep cannot be stored", maxNesting)
	}
	return value, nil
}

// depth counts the levels of arrays: 0 for a scalar, 1 for an array of scalars.
func (v Value) depth() int {
	if v.typ != TypeArray {
		return 0
	}
	deepest := 0
	if nested, ok := v.any.([]Value); ok {
		for _, e := range nested {
			deepest = max(deepest, e.depth())
		}
	}
	return deepest + 1
}

func typeOf(v any) (ValueType, bool) {
	switch v.(type) {
	case uint8:
		return TypeUint8, true
	case int8:
		return TypeInt8, true
	case uint16:
		return TypeUint16, true
	case int16:
		return TypeInt16, true
	case uint32:
		return TypeUint32, true
	case int32:
		return TypeInt32, true
	case float32:
		return TypeFloat32, true
	case bool:
		return TypeBool, true
	case string:
		return TypeString, true
	case uint64:
		return TypeUint64, true
	case int64:
		return TypeInt64, true
	case float64:
		return TypeFloat64, true
	}
	return 0, false
}

func elemTypeOf(v any) (ValueType, bool) {
	switch v.(type) {
	case []uint8:
		return TypeUint8, true
	case []int8:
		return TypeInt8, true
	case []uint16:
		return TypeUint16, true
	case []int16:
		return TypeInt16, true
	case []uint32:
		return TypeUint32, true
	case []int32:
		return TypeInt32, true
	case []float32:
		return TypeFloat32, true
	case []bool:
		return TypeBool, true
	case []string:
		return TypeString, true
	case []uint64:
		return TypeUint64, true
	case []int64:
		return TypeInt64, true
	case []float64:
		return TypeFloat64, true
	}
	return 0, false
}

// Type returns the value's type.
func (v Value) Type() ValueType { return v.typ }

// Elem returns the type of an array's elements; ok is false for any other value.
func (v Value) Elem() (elem ValueType, ok bool) { return v.elem, v.typ == TypeArray }

// Any returns the value as Go knows it: a scalar, a slice of scalars, or []Value for an array of arrays. A slice is
// shared with v and must not be changed.
func (v Value) Any() any { return v.any }

// Len returns the number of an array's elements, 0 for any other value.
func (v Value) Len() int {
	switch s := v.any.(type) {
	case []uint8:
		return len(s)
	case []int8:
		return len(s)
	case []uint16:
		return len(s)
	case []int16:
		return len(s)
	case []uint32:
		return len(s)
	case []int32:
		return len(s)
	case []float32:
		return len(s)
	case []bool:
		return len(s)
	case []string:
		return len(s)
	case []uint64:
		return len(s)
	case []int64:
		return len(s)
	case []float64:
		return len(s)
	case []Value:
		return len(s)
	}
	return 0
}

// String prints the value for people: strings quoted, of a long array the first elements and their number.
func (v Value) String() string {
	switch x := v.any.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("%q", x)
	}
	if v.typ != TypeArray {
		return fmt.Sprint(v.any)
	}
	const most = 8
	n := v.Len()
	var b strings.Builder
	b.WriteByte('[')
	for i := range min(n, most) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v.index(i).String())
	}
	if n > most {
		fmt.Fprintf(&b, ", … %d in all", n)
	}
	b.WriteByte(']')
	return b.String()
}

// index returns element i of an array as a Value.
func (v Value) index(i int) Value {
	switch s := v.any.(type) {
	case []uint8:
		return Value{any: s[i], typ: v.elem}
	case []int8:
		return Value{any: s[i], typ: v.elem}
	case []uint16:
		return Value{any: s[i], typ: v.elem}
	case []int16:
		return Value{any: s[i], typ: v.elem}
	case []uint32:
		return Value{any: s[i], typ: v.elem}
	case []int32:
		return Value{any: s[i], typ: v.elem}
	case []float32:
		return Value{any: s[i], typ: v.elem}
	case []bool:
		return Value{any: s[i], typ: v.elem}
	case []string:
		return Value{any: s[i], typ: v.elem}
	case []uint64:
		return Value{any: s[i], typ: v.elem}
	case []int64:
		return Value{any: s[i], typ: v.elem}
	case []float64:
		return Value{any: s[i], typ: v.elem}
	case []Value:
		return s[i]
	}
	return Value{}
}

// uint returns a non-negative integer of any type.
func (v Value) uint() (uint64, bool) {
	switch x := v.any.(type) {
	case uint8:
		return uint64(x), true
	case uint16:
		return uint64(x), true
	case uint32:
		return uint64(x), true
	case uint64:
		return x, true
	}
	i, ok := v.int()
	return uint64(i), ok && i >= 0
}

// int returns an integer of any type that an int64 holds.
func (v Value) int() (int64, bool) {
	switch x := v.any.(type) {
	case uint8:
		return int64(x), true
	case uint16:
		return int64(x), true
	case uint32:
		return int64(x), true
	case uint64:
		return int64(x), x <= math.MaxInt64
	case int8:
		return int64(x), true
	case int16:
		return int64(x), true
	case int32:
		return int64(x), true
	case int64:
		return x, true
	}
	return 0, false
}
