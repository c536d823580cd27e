package model

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// TestRepackedLogitsAreTheSame: every way through a model, with matrices of every type, gives the same bits from packed
// matrices as from stored ones.
func TestRepackedLogitsAreTheSame(t *testing.T) {
	for _, name := range allShapes() {
		for _, typ := range []quant.Type{quant.Q4_0, quant.Q8_0, quant.Q4_K, quant.Q6_K, quant.Q5_K, quant.F16} {
			t.Run(fmt.Sprint(name, typ), func(t *testing.T) {
				t.Parallel()
				m := synthModel(t, name, typ)
				all := kernels.Implementations()
				impl := all[len(all)-1]
				stored, repacked := NewRunner(m, impl, 2), NewRunner(m, impl, 2)
				defer stored.Close()
				defer repacked.Close()
				if err := repacked.Repack(); err != nil {
					t.Fatal(err)
				}
				a, b := newSequence(t, m, quant.F16), newSequence(t, m, quant.F16)
				tokens, at := text(90, 11), 0
				for _, n := range []int{40, 1, 1, 2, 3, 4, 9, 18} {
					want := forward(t, stored, a, tokens[at:at+n], at)
					for i, got := range forward(t, repacked, b, tokens[at:at+n], at) {
						for j, v := range got {
							if math.Float32bits(v) != math.Float32bits(want[i][j]) {
								t.Fatalf("%s: logit %d of token %d is %v, from stored matrices %v", impl.Name, j, at+i, v, want[i][j])
							}
						}
					}
					at += n
				}
			})
		}
	}
}

// TestRepacking: every matrix of a product is either packed or counted among those that are not.
func TestRepacking(t *testing.T) {
	for _, name := range allShapes() {
		for _, typ := range []quant.Type{quant.Q4_0, quant.F32} {
			m := synthModel(t, name, typ)
			var all, tables int64
			layers, output := cloneMatrices(m)
			for _, l := range matricesOf(layers, &output) {
				all += int64(len(l.Data))
				if l.Type != typ {
					tables += int64(len(l.Data))
				}
			}
			for _, impl := range kernels.Implementations() {
				r := NewRunner(m, impl, 1)
				before := r.Repacking()
				if before.Bytes+before.Stored < all {
					t.Errorf("%s in %s with %s: %d bytes packed and %d stored, of %d", name, typ, impl.Name, before.Bytes, before.Stored, all)
				}
				if impl.Packings[typ] == nil && (before.Bytes != 0 || before.Stored != all) || before.Stored < tables {
					t.Errorf("%s in %s with %s: %d bytes packed and %d stored, of %d", name, typ, impl.Name, before.Bytes, before.Stored, all)
				}
				for range 2 { // the second time, there is nothing to do
					if err := r.Repack(); err != nil {
						t.Fatal(err)
					}
				}
				if after := r.Repacking(); after.Bytes != before.Bytes || after.Stored != before.Stored {
					t.Errorf("%s in %s with %s: %v before and %v after", name, typ, impl.Name, before, after)
				}
				r.Close()
				r.Close()
				seq := newSequence(t, m, quant.F16)
				if err := r.Forward([]Row{{Token: 1, Sequence: seq}}, nil, nil); !errors.Is(err, kernels.ErrClosed) {
					t.Errorf("a closed runner: %v", err)
				}
				closed := NewRunner(m, impl, 1)
				closed.Close()
				if err := closed.Repack(); !errors.Is(err, kernels.ErrClosed) {
					t.Errorf("packing with a closed runner: %v", err)
				}
			}
		}
	}
}
