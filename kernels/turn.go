package kernels

import "fmt"

// Turn says by what angles cached keys are rotated before queries meet them: rotary position embeddings (Su et al. 2021) of
// keys that were stored without them, so that a key's position may change while it is cached. The tables hold a column
// for each position and a row for each pair of dimensions, whose angles in neighbouring positions then lie side by side,
// as neighbouring keys do.
type Turn struct {
	Cos, Sin []float32 // [Pairs, Stride] cosines and sines of the angles
	Stride   int       // values from one row of the tables to the next
	Pairs    int       // pairs of dimensions that are rotated, the first 2·Pairs of a key; the others stay as they are
	First    int       // the column of the first key; key j has column First+j
	Halves   bool      // pairs are (i, i+Pairs) (the NeoX order), else (2i, 2i+1)
}

// Check returns an error unless the tables have columns for n keys, and keys of dim dimensions the pairs to rotate.
func (t *Turn) Check(dim, n int) error {
	if t.Pairs < 0 || t.Pairs > dim/2 {
		return fmt.Errorf("kernels: %d pairs of dimensions to rotate in keys of %d dimensions", t.Pairs, dim)
	}
	if t.First < 0 || n < 0 || n > t.Stride-t.First {
		return fmt.Errorf("kernels: %d keys from column %d on of tables of angles with %d columns", n, t.First, t.Stride)
	}
	if err := checkRows("cosines", len(t.Cos), t.Stride, t.Pairs, t.First+n); err != nil {
		return err
	}
	return checkRows("sines", len(t.Sin), t.Stride, t.Pairs, t.First+n)
}

// rotate rotates a group of keys, [dim][KeyGroup], of which the first has the given column.
func (t *Turn) rotate(group []float32, column int) {
	for p := range t.Pairs {
		first, second := 2*p, 2*p+1
		if t.Halves {
			first, second = p, p+t.Pairs
		}
		a, b := group[first*KeyGroup:][:KeyGroup], group[second*KeyGroup:][:KeyGroup]
		at := p*t.Stride + column
		cos, sin := t.Cos[at:at+KeyGroup], t.Sin[at:at+KeyGroup]
		for i, c := range cos {
			s := sin[i]
			a[i], b[i] = float32(a[i]*c)-float32(b[i]*s), float32(a[i]*s)+float32(b[i]*c)
		}
	}
}
