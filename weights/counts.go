package weights

import (
	"cmp"
	"maps"
	"slices"

	"github.com/mneme-lm/mneme/weights/quant"
)

// TypeCount says how many tensors of a model are of a type, and how many bytes of data they have.
type TypeCount struct {
	Type    quant.Type
	Tensors int
	Bytes   int64
}

// TypeCounts returns what types the model's tensors have, by the number of the type.
func (f *File) TypeCounts() []TypeCount {
	counts := typeCounts{}
	for _, t := range f.tensors {
		counts.add(t.Type, len(t.Data))
	}
	return counts.sorted()
}

type typeCounts map[quant.Type]TypeCount

func (c typeCounts) add(t quant.Type, bytes int) {
	c[t] = TypeCount{t, c[t].Tensors + 1, c[t].Bytes + int64(bytes)}
}

func (c typeCounts) sorted() []TypeCount {
	return slices.SortedFunc(maps.Values(c), func(a, b TypeCount) int { return cmp.Compare(a.Type, b.Type) })
}
