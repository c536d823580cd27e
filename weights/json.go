package weights

import (
	"bytes"
	"encoding/json"
	"math"
)

// MarshalJSON writes the value as JSON has it: numbers, strings, booleans and arrays of those. A float that JSON cannot
// say is one of the strings "NaN", "Infinity" and "-Infinity".
func (v Value) MarshalJSON() ([]byte, error) {
	switch x := v.any.(type) {
	case float32:
		return marshalFloat(float64(x), x)
	case float64:
		return marshalFloat(x, x)
	case []uint8, []float32, []float64: // bytes are numbers here; floats may not be finite
		var b bytes.Buffer
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			e, err := v.index(i).MarshalJSON()
			if err != nil {
				return nil, err
			}
			b.Write(e)
		}
		b.WriteByte(']')
		return b.Bytes(), nil
	}
	return json.Marshal(v.any)
}

// marshalFloat writes x, the float of either width that f equals.
func marshalFloat(f float64, x any) ([]byte, error) {
	switch {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(x)
}

// MarshalJSON writes the metadata as one object with the keys in their order.
func (m *Metadata) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range m.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		v, err := m.values[key].MarshalJSON()
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
