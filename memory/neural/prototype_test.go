package neural

import (
	"math"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights/safetensors"
)

// prototype is the model of ../shared/prototypes/titans.safetensors, worked out in float64, a row after the other.
type prototype struct {
	t    *testing.T
	file *safetensors.File
	have map[string][]float64
	lm   *naive
	off  bool // whether reads are zeroed

	keys, values [prototypeLayers][][]float64
}

const (
	prototypeWidth    = 128
	prototypeHeads    = 4
	prototypeHeadDim  = 32
	prototypeInner    = 352
	prototypeLayers   = 4
	prototypeWindow   = 64
	prototypeMemory   = 2 // the layer with the memory
	prototypeEpsilon  = 1e-6
	prototypeRopeBase = 10000
)

func newPrototype(t *testing.T, off bool) *prototype {
	t.Helper()
	f, err := safetensors.Open(testdata.Shared(t, "prototypes/titans.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	p := &prototype{t: t, file: f, have: map[string][]float64{}, off: off}
	c := Config{
		Heads: 2, Dim: 64, Depth: 1, Chunk: 16, Momentum: true, Convolution: 4, MostStep: 1, MostMomentum: 0.999, NormEpsilon: 1e-5,
	}
	w := Weights{Initial: [][]float32{p.floats("bl.2.lm.M0")}, Convolution: p.floats("bl.2.lm.cw"), Norm: p.floats("bl.2.lm.on")}
	p.lm = newNaive(c, w)
	return p
}

func (p *prototype) floats(name string) []float32 {
	p.t.Helper()
	tensor, ok := p.file.Tensor(name)
	if !ok {
		p.t.Fatalf("no tensor %s", name)
	}
	out := make([]float32, tensor.Elements())
	if err := tensor.Decode(out, 0); err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *prototype) tensor(name string) []float64 {
	p.t.Helper()
	if p.have[name] == nil {
		p.have[name] = wide(p.floats(name))
	}
	return p.have[name]
}

// linear is W·x, with a bias where there is one; x is a multiple of four long.
func (p *prototype) linear(name string, x []float64) []float64 {
	w := p.tensor(name + ".weight")
	y := make([]float64, len(w)/len(x))
	if _, ok := p.file.Tensor(name + ".bias"); ok {
		copy(y, p.tensor(name+".bias"))
	}
	for r := range y {
		row := w[r*len(x):][:len(x)]
		var sums [4]float64 // so that no addition waits for the one before
		for i := 0; i+4 <= len(x); i += 4 {
			for j := range sums {
				sums[j] += row[i+j] * x[i+j]
			}
		}
		y[r] += sums[0] + sums[1] + sums[2] + sums[3]
	}
	return y
}

func (p *prototype) normed(name string, x []float64) []float64 {
	var square float64
	for _, v := range x {
		square += v * v
	}
	scale := 1 / math.Sqrt(square/float64(len(x))+prototypeEpsilon)
	out, w := make([]float64, len(x)), p.tensor(name)
	for i, v := range x {
		out[i] = v * scale * w[i]
	}
	return out
}

func addTo(x, y []float64) {
	for i, v := range y {
		x[i] += v
	}
}

func rotate(x []float64, pos int) {
	const half = prototypeHeadDim / 2
	for h := range prototypeHeads {
		pair := x[h*prototypeHeadDim : (h+1)*prototypeHeadDim]
		for i := range half {
			s, c := math.Sincos(float64(pos) * math.Pow(prototypeRopeBase, -float64(i)/half))
			a, b := pair[i], pair[half+i]
			pair[i], pair[half+i] = a*c-b*s, a*s+b*c
		}
	}
}

// attention is that of layer l over the last rows, the row's own among them.
func (p *prototype) attention(l int, block string, x []float64, pos int) []float64 {
	qkv := p.linear(block+"a.qkv", x)
	q, k, v := qkv[:prototypeWidth], qkv[prototypeWidth:2*prototypeWidth], qkv[2*prototypeWidth:]
	rotate(q, pos)
	rotate(k, pos)
	p.keys[l], p.values[l] = append(p.keys[l], k), append(p.values[l], v)
	first := max(0, len(p.keys[l])-prototypeWindow)
	out := make([]float64, prototypeWidth)
	for at := 0; at < prototypeWidth; at += prototypeHeadDim {
		var total float64
		var weights []float64
		for _, key := range p.keys[l][first:] {
			var score float64
			for i := at; i < at+prototypeHeadDim; i++ {
				score += q[i] * key[i]
			}
			weights = append(weights, math.Exp(score/math.Sqrt(prototypeHeadDim)))
			total += weights[len(weights)-1]
		}
		for j, value := range p.values[l][first:] {
			for i := at; i < at+prototypeHeadDim; i++ {
				out[i] += weights[j] / total * value[i]
			}
		}
	}
	return p.linear(block+"a.o", out)
}

func (p *prototype) remember(block string, x []float64) []float64 {
	narrow := func(x []float64) []float32 {
		out := make([]float32, len(x))
		for i, v := range x {
			out[i] = float32(v)
		}
		return out
	}
	qkv := narrow(p.linear(block+"lm.qkv", x))
	rows := Rows{
		Q: qkv[:prototypeWidth], K: qkv[prototypeWidth : 2*prototypeWidth], V: qkv[2*prototypeWidth:],
		Gates: narrow(p.linear(block+"lm.gt", x)), Out: narrow(p.linear(block+"lm.og", x)),
	}
	return p.linear(block+"lm.o", p.lm.step(rows, 0))
}

func (p *prototype) step(token, pos int) []float64 {
	h := append([]float64(nil), p.tensor("e.weight")[token*prototypeWidth:][:prototypeWidth]...)
	for l := range prototypeLayers {
		block := "bl." + string(rune('0'+l)) + "."
		addTo(h, p.attention(l, block, p.normed(block+"n1.w", h), pos))
		if l == prototypeMemory && !p.off {
			addTo(h, p.remember(block, p.normed(block+"n3.w", h)))
		}
		inner := p.linear(block+"m.w1", p.normed(block+"n2.w", h))
		gate, up := inner[:prototypeInner], inner[prototypeInner:]
		for i, v := range gate {
			up[i] *= v * logistic(v)
		}
		addTo(h, p.linear(block+"m.w2", up))
	}
	return h
}

// TestPrototype compares the naive memory, in the model that was trained with it, with the program that trained it.
func TestPrototype(t *testing.T) {
	for _, name := range []string{"titans", "titans_off"} {
		t.Run(name, func(t *testing.T) {
			g, p := testdata.PrototypeGolden(t, name), newPrototype(t, name == "titans_off")
			var logits [][]float64
			for pos, token := range g.Tokens {
				if h := p.step(int(token), pos); pos >= len(g.Tokens)-len(g.Top) {
					logits = append(logits, p.linear("head", p.normed("nf.w", h)))
				}
			}
			testdata.CheckTop(t, name, logits, g)
		})
	}
}
