package train

import (
	"fmt"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights/safetensors"
)

// prototypeNames are what parameters of a block are called in the files of the trained prototypes; %s is before those of
// attention and of the feed-forward layer.
var prototypeNames = strings.NewReplacer(
	"token_embd.weight", "e.weight", "output_norm.weight", "nf.w", "blk.", "bl.",
	"attn_norm.weight", "n1.w", "attn_qkv.", "ATTNqkv.", "attn_output.", "ATTNo.",
	"ffn_norm.weight", "n2.w", "ffn_gate_up.", "FFNw1.", "ffn_down.", "FFNw2.", "output.weight", "head.weight",
	"mem_fuse.weight", "lam", "mem_pool_norm.weight", "np.w", "mem_pool_q.weight", "pq", "mem_pool_k.", "pk.", "mem_pool_v.", "pv.",
	"mem_norm.weight", "nm.w", "mem_q.", "qm.", "mem_k.", "km.", "mem_v.", "vm.", "mem_gate_w.", "W.", "mem_gate_u.", "U.",
)

// openPrototype reads a trained prototype into a model of the shape.
func openPrototype(t *testing.T, name string, s Shape) *Model {
	t.Helper()
	f, err := safetensors.Open(testdata.Shared(t, "prototypes/"+name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := NewModel(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	of := strings.NewReplacer("ATTN", "a.", "FFN", "m.")
	if s.Fifo != nil {
		of = strings.NewReplacer("ATTN", "", "FFN", "ff.")
	}
	for _, p := range m.Params {
		from := of.Replace(prototypeNames.Replace(p.Name))
		x, ok := f.Tensor(from)
		if !ok || fmt.Sprint(x.Shape) != fmt.Sprint(p.Shape) {
			t.Fatalf("%s: no tensor %s of shape %v", p.Name, from, p.Shape)
		}
		if err := x.Decode(p.Values, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.Tensors()); n != len(m.Params) {
		t.Fatalf("%d tensors in the file, %d parameters", n, len(m.Params))
	}
	return m
}

func ints(tokens []int32) (ids []int) {
	for _, id := range tokens {
		ids = append(ids, int(id))
	}
	return ids
}

// logitsOf are those of each row of one text.
func logitsOf(t *testing.T, c Compute, m *Model, tokens []int) [][]float32 {
	t.Helper()
	g, err := m.build(c, 1, len(tokens))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.take([]tales.Document{{Tokens: tokens}}, 1, len(tokens)); err != nil {
		t.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(g.ExprGraph)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	all, rows := g.logits.Value().Data().([]float32), make([][]float32, g.rows)
	for i := range rows {
		rows[i] = all[i*m.Shape.Vocabulary:][:m.Shape.Vocabulary]
	}
	return rows
}

// The trained prototypes give the logits that the program gave which trained them.
func TestPrototypes(t *testing.T) {
	base := Small(262)
	base.RoPEBase = 1e4
	landmark, remembers := base, base
	landmark.Landmark = Landmark{Block: 16, Token: 2}
	remembers.Fifo = NewFifo(2, 3)
	all := computes(t)
	for _, p := range []struct {
		file, golden string
		shape        Shape
		off          bool // the memory
	}{{"base", "base", base, false}, {"landmark", "landmark_dense", landmark, false}, {"fifo", "fifo", remembers, false}, {"fifo", "fifo_off", remembers, true}} {
		want := testdata.PrototypeGolden(t, p.golden)
		m := openPrototype(t, p.file, p.shape)
		if p.off {
			f := *m.Shape.Fifo
			f.Layers = nil
			m.Shape.Fifo = &f
		}
		testdata.CheckTop(t, p.golden, logitsOf(t, all[len(all)-1], m, ints(want.Tokens)), want)
	}
}
