package fifo

import (
	"fmt"
	"math"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights/safetensors"
)

// The shape of the trained prototype, which its configuration gives.
const (
	protoDim, protoLayers, protoHeads, protoInner = 128, 4, 4, 352
	protoHeadDim                                  = protoDim / protoHeads
	protoChunk, protoWindow                       = 64, 16
	protoEpsilon                                  = 1e-6
)

// prototype is the trained model in float64, written as its description says, with the memory of TestAgainstNaive.
type prototype struct {
	t    *testing.T
	file *safetensors.File
	read bool // the memory
	made map[string][]float32
}

func (p *prototype) tensor(format string, args ...any) []float32 {
	p.t.Helper()
	name := fmt.Sprintf(format, args...)
	if values, ok := p.made[name]; ok {
		return values
	}
	x, ok := p.file.Tensor(name)
	if !ok {
		p.t.Fatalf("no tensor %s", name)
	}
	values := make([]float32, x.Elements())
	if err := x.Decode(values, 0); err != nil {
		p.t.Fatal(err)
	}
	p.made[name] = values
	return values
}

// memory is that of a layer.
func (p *prototype) memory(l int) *naive {
	c := Config{
		Dim: protoDim, Chunk: protoChunk, Slots: 128, PerChunk: 8, Gate: GateSimple, Pooling: PoolQuery,
		Heads: protoHeads, HeadDim: protoHeadDim, Scale: float32(1 / math.Sqrt(protoHeadDim)), Epsilon: protoEpsilon,
	}
	return &naive{Layer: newLayer(p.t, c, Weights{
		PoolNorm: p.tensor("bl.%d.np.w", l), PoolQueries: p.tensor("bl.%d.pq", l), PoolKey: p.tensor("bl.%d.pk.weight", l), PoolValue: p.tensor("bl.%d.pv.weight", l),
		GateW: p.tensor("bl.%d.W.weight", l), GateU: p.tensor("bl.%d.U.weight", l), GateBias: p.tensor("bl.%d.W.bias", l),
		SlotNorm: p.tensor("bl.%d.nm.w", l), Key: p.tensor("bl.%d.km.weight", l), Value: p.tensor("bl.%d.vm.weight", l),
	})}
}

func plus(x, y []float64) []float64 {
	for i, v := range y {
		x[i] += v
	}
	return x
}

// turned is a head of x at a position of its chunk: the first half of a head goes with the second.
func turned(x []float64, head, position int) []float64 {
	const half = protoHeadDim / 2
	out := make([]float64, protoHeadDim)
	for i := range half {
		sin, cos := math.Sincos(float64(position) * math.Pow(10000, -float64(i)/half))
		a, b := x[head*protoHeadDim+i], x[head*protoHeadDim+half+i]
		out[i], out[half+i] = a*cos-b*sin, a*sin+b*cos
	}
	return out
}

// layer runs a layer over the hidden states of a text.
func (p *prototype) layer(l int, hidden [][]float64) {
	var memory *naive
	if l >= 2 {
		memory = p.memory(l)
	}
	var keys, values [protoHeads][][]float64 // of the chunk
	for t, x := range hidden {
		position := t % protoChunk
		if position == 0 {
			keys, values = [protoHeads][][]float64{}, [protoHeads][][]float64{}
		}
		u := rms(p.tensor("bl.%d.n1.w", l), x, protoEpsilon)
		if memory != nil && len(memory.rows) == memory.Chunk {
			memory.fold()
		}
		qkv := plus(times(p.tensor("bl.%d.qkv.weight", l), u), wide(p.tensor("bl.%d.qkv.bias", l)))
		var fused []float64
		for h := range protoHeads {
			q := turned(qkv[:protoDim], h, position)
			keys[h] = append(keys[h], turned(qkv[protoDim:2*protoDim], h, position))
			values[h] = append(values[h], qkv[2*protoDim+h*protoHeadDim:][:protoHeadDim])
			fused = append(fused, p.fuse(l, h, q, keys[h], values[h], position, u, memory)...)
		}
		if memory != nil {
			memory.write(u)
		}
		plus(x, times(p.tensor("bl.%d.o.weight", l), fused))
		inner := times(p.tensor("bl.%d.ff.w1.weight", l), rms(p.tensor("bl.%d.n2.w", l), x, protoEpsilon))
		for i, g := range inner[:protoInner] {
			inner[i] = g / (1 + math.Exp(-g)) * inner[protoInner+i]
		}
		plus(x, times(p.tensor("bl.%d.ff.w2.weight", l), inner[:protoInner]))
	}
}

// fuse is what a head makes of the three paths.
func (p *prototype) fuse(l, h int, q []float64, keys, values [][]float64, position int, u []float64, memory *naive) []float64 {
	attend := func(first int) []float64 {
		var scores []float64
		for _, k := range keys[first:] {
			scores = append(scores, inner(q, k)/math.Sqrt(protoHeadDim))
		}
		_, out := mix(scores, values[first:])
		return out
	}
	paths := [3][]float64{attend(0), attend(position / protoWindow * protoWindow), make([]float64, protoHeadDim)}
	if memory != nil && p.read {
		_, paths[2] = memory.read(times(p.tensor("bl.%d.qm.weight", l), u)[h*protoHeadDim:(h+1)*protoHeadDim], h)
	}
	logits := make([]float64, 3)
	for path := range logits {
		logits[path] = float64(p.tensor("bl.%d.lam", l)[path*protoHeads+h])
	}
	_, out := mix(logits, paths[:])
	return out
}

// TestPrototype holds every index of the layout against what the program that trained it computed.
func TestPrototype(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	f, err := safetensors.Open(testdata.Shared(t, "prototypes/fifo.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, read := range map[string]bool{"fifo": true, "fifo_off": false} {
		golden := testdata.PrototypeGolden(t, name)
		p := &prototype{t: t, file: f, read: read, made: map[string][]float32{}}
		var hidden [][]float64
		for _, id := range golden.Tokens {
			hidden = append(hidden, wide(p.tensor("e.weight")[id*protoDim:(id+1)*protoDim]))
		}
		for l := range protoLayers {
			p.layer(l, hidden)
		}
		var logits [][]float64
		for _, h := range hidden[len(hidden)-len(golden.Top):] {
			logits = append(logits, times(p.tensor("head.weight"), rms(p.tensor("nf.w"), h, protoEpsilon)))
		}
		testdata.CheckTop(t, name, logits, golden)
	}
}
