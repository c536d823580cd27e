package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/internal/hugemem"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Repacking is what a copy of a model's matrices takes in the layout that the kernels read fastest.
type Repacking struct {
	Bytes  int64        // of the copy
	Stored int64        // of the matrices that stay as they are stored, for want of another layout
	Types  []quant.Type // of those
}

// Repacking works out what Repack takes, or took.
func (r *Runner) Repacking() Repacking {
	var p Repacking
	layers, output := cloneMatrices(r.model)
	for _, l := range matricesOf(layers, &output) {
		if n, ok := r.impl.PackedBytes(&l.Matrix); ok {
			p.Bytes += int64(n)
			continue
		}
		p.Stored += int64(len(l.Data))
		if !slices.Contains(p.Types, l.Type) {
			p.Types = append(p.Types, l.Type)
		}
	}
	slices.Sort(p.Types)
	return p
}

// Repack copies the matrices into memory of the runner's own, laid out for few activation rows at a time: generation then
// runs about as fast as memory is read. Results do not change by a bit. The matrices for whose type the kernels have no
// such layout stay where they are.
func (r *Runner) Repack() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unmap != nil {
		return nil
	}
	size := r.Repacking().Bytes
	if size > math.MaxInt {
		return fmt.Errorf("model: repacking: %d bytes are more than this processor can address", size)
	}
	memory, unmap, err := hugemem.Map(int(size))
	if err != nil {
		return fmt.Errorf("model: repacking: %w", err)
	}
	layers, output := cloneMatrices(r.model)
	task := repackTask{}
	for _, l := range matricesOf(layers, &output) {
		n, ok := r.impl.PackedBytes(&l.Matrix)
		if !ok {
			continue
		}
		stored := l.Matrix
		l.Matrix = r.impl.Packed(&stored, memory[:n:n])
		memory = memory[n:]
		task = append(task, repacked{stored, l.Matrix})
	}
	if _, err := r.team.Run(task, nil); err != nil {
		unmap()
		return err
	}
	r.layers, r.output, r.unmap = layers, output, unmap
	return nil
}

// cloneMatrices returns a model's layers, with lists of experts and memories of their own, and its output matrix.
func cloneMatrices(m *Model) ([]layer, linear) {
	layers := slices.Clone(m.layers)
	for i := range layers {
		l := &layers[i]
		for _, experts := range []*[]linear{&l.gateExperts, &l.upExperts, &l.downExperts} {
			*experts = slices.Clone(*experts)
		}
		if l.neural != nil {
			own := *l.neural
			l.neural = &own
		}
	}
	return layers, m.output
}

// matricesOf lists the matrices that there are, in the order of their use.
func matricesOf(layers []layer, output *linear) []*linear {
	var list []*linear
	for i := range layers {
		l := &layers[i]
		list = append(list, &l.memoryQuery, &l.memoryOutput, &l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down, &l.router)
		if l.neural != nil {
			list = append(list, l.neural.list()...)
		}
		for _, experts := range [][]linear{l.gateExperts, l.upExperts, l.downExperts} {
			for e := range experts {
				list = append(list, &experts[e])
			}
		}
	}
	list = append(list, output)
	return slices.DeleteFunc(list, func(l *linear) bool { return len(l.Data) == 0 })
}

// repacked is a matrix as it is stored and as it is to be packed.
type repacked struct{ stored, packed kernels.Matrix }

// repackTask has all threads pack some matrices.
type repackTask []repacked

// repackGrain is the number of groups of rows that a thread packs at a time.
const repackGrain = 4

func (t repackTask) Work(w *kernels.Worker) {
	for i := range t {
		m := &t[i]
		w.For(m.packed.Groups(), repackGrain, func(from, to int) { m.packed.Pack(&m.stored, from, to) })
	}
}
