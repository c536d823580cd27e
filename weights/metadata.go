package weights

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
)

// Metadata is a file's list of keys and values, in the file's order. The zero Metadata is empty and ready for Set.
//
// The typed getters answer false where the key is absent or its value is of another kind. Slices that they return are
// shared with the Metadata and must not be changed. Reading is safe in many goroutines at once; Set and Delete are not.
type Metadata struct {
	keys   []string
	values map[string]Value
}

// Len returns the number of keys.
func (m *Metadata) Len() int { return len(m.keys) }

// Keys returns the keys in their order.
func (m *Metadata) Keys() []string { return slices.Clone(m.keys) }

// All yields the keys and values in their order.
func (m *Metadata) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, key := range m.keys {
			if !yield(key, m.values[key]) {
				return
			}
		}
	}
}

// Get returns a key's value.
func (m *Metadata) Get(key string) (Value, bool) {
	v, ok := m.values[key]
	return v, ok
}

// Set stores v, which may be a Value or anything that NewValue accepts. A key that is already there keeps its place.
func (m *Metadata) Set(key string, v any) error {
	if key == "" || len(key) > maxKeyBytes {
		return fmt.Errorf("weights: metadata key %s: keys have 1 to %d bytes, not %d", quote(key), maxKeyBytes, len(key))
	}
	value, ok := v.(Value)
	if !ok {
		var err error
		if value, err = NewValue(v); err != nil {
			return fmt.Errorf("weights: metadata key %s: %w", quote(key), err)
		}
	} else if value.any == nil {
		return fmt.Errorf("weights: metadata key %s: the zero Value cannot be stored", quote(key))
	}
	m.put(key, value)
	return nil
}

// put stores a value that is known to be sound.
func (m *Metadata) put(key string, v Value) {
	if m.values == nil {
		m.values = map[string]Value{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = v
}

// Delete removes a key, if it is there.
func (m *Metadata) Delete(key string) {
	if _, ok := m.values[key]; !ok {
		return
	}
	delete(m.values, key)
	m.keys = slices.DeleteFunc(m.keys, func(k string) bool { return k == key })
}

// Clone returns a copy whose keys can be set without changing m. The values are shared.
func (m *Metadata) Clone() *Metadata {
	return &Metadata{keys: slices.Clone(m.keys), values: maps.Clone(m.values)}
}

// String returns a string value.
func (m *Metadata) String(key string) (string, bool) { return get[string](m, key) }

// Bool returns a bool value.
func (m *Metadata) Bool(key string) (value, ok bool) { return get[bool](m, key) }

// Strings returns an array of strings.
func (m *Metadata) Strings(key string) ([]string, bool) { return get[[]string](m, key) }

// Uint returns a non-negative integer, whatever its type.
func (m *Metadata) Uint(key string) (uint64, bool) {
	u, ok := m.values[key].uint()
	if !ok {
		return 0, false
	}
	return u, true
}

// Int returns an integer, whatever its type; false for one above the largest int64.
func (m *Metadata) Int(key string) (int64, bool) {
	i, ok := m.values[key].int()
	if !ok {
		return 0, false
	}
	return i, true
}

// Float returns a float32 or float64 value.
func (m *Metadata) Float(key string) (float64, bool) {
	switch x := m.values[key].any.(type) {
	case float32:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

// Float32s returns an array of float32, or of float64 rounded.
func (m *Metadata) Float32s(key string) ([]float32, bool) {
	switch s := m.values[key].any.(type) {
	case []float32:
		return s, true
	case []float64:
		out := make([]float32, len(s))
		for i, x := range s {
			out[i] = float32(x)
		}
		return out, true
	}
	return nil, false
}

// Int32s returns an array of integers of any type; false if one of them does not fit an int32.
func (m *Metadata) Int32s(key string) ([]int32, bool) {
	v := m.values[key]
	if s, ok := v.any.([]int32); ok {
		return s, true
	}
	return convert(v, func(e Value) (int32, bool) {
		i, ok := e.int()
		return int32(i), ok && i >= math.MinInt32 && i <= math.MaxInt32
	})
}

// Uints returns an array of non-negative integers of any type.
func (m *Metadata) Uints(key string) ([]uint64, bool) {
	v := m.values[key]
	if s, ok := v.any.([]uint64); ok {
		return s, true
	}
	return convert(v, Value.uint)
}

func get[T any](m *Metadata, key string) (T, bool) {
	x, ok := m.values[key].any.(T)
	return x, ok
}

// convert maps an array of integers element by element, and fails if one element does.
func convert[T any](v Value, element func(Value) (T, bool)) ([]T, bool) {
	switch v.elem {
	case TypeUint8, TypeInt8, TypeUint16, TypeInt16, TypeUint32, TypeInt32, TypeUint64, TypeInt64:
	default:
		return nil, false
	}
	if v.typ != TypeArray {
		return nil, false
	}
	out := make([]T, v.Len())
	for i := range out {
		x, ok := element(v.index(i))
		if !ok {
			return nil, false
		}
		out[i] = x
	}
	return out, true
}
