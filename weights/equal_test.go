package weights

import (
	"bytes"
	"math"
	"reflect"
	"slices"
)

// equalValues compares bit for bit, so that NaN equals itself and -0 does not equal 0.
func equalValues(a, b Value) bool {
	if a.typ != b.typ || a.elem != b.elem {
		return false
	}
	switch x := a.any.(type) {
	case float32:
		y, ok := b.any.(float32)
		return ok && math.Float32bits(x) == math.Float32bits(y)
	case float64:
		y, ok := b.any.(float64)
		return ok && math.Float64bits(x) == math.Float64bits(y)
	case []float32, []float64, []Value:
		return reflect.TypeOf(a.any) == reflect.TypeOf(b.any) && a.Len() == b.Len() && equalElements(a, b)
	}
	return reflect.DeepEqual(a.any, b.any)
}

func equalElements(a, b Value) bool {
	for i := range a.Len() {
		if !equalValues(a.index(i), b.index(i)) {
			return false
		}
	}
	return true
}

func equalMetadata(a, b *Metadata) bool {
	if !slices.Equal(a.keys, b.keys) {
		return false
	}
	for key, v := range a.All() {
		if !equalValues(v, b.values[key]) {
			return false
		}
	}
	return true
}

func equalTensors(a, b []*Tensor) bool {
	return slices.EqualFunc(a, b, func(x, y *Tensor) bool {
		return x.Name == y.Name && x.Type == y.Type && slices.Equal(x.Shape, y.Shape) && bytes.Equal(x.Data, y.Data)
	})
}
