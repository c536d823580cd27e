package main

import (
	"fmt"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/weights"
)

// memoryInfo is a learned memory that a model was trained with.
type memoryInfo struct {
	Kind       string  `json:"kind"`
	Layers     []int32 `json:"layers"`
	Tensors    int     `json:"tensors"`
	Parameters int64   `json:"parameters"`
	Bytes      int64   `json:"bytes"`       // of the tensors
	StateBytes int64   `json:"state_bytes"` // of a session, however long its text; 0 if the model cannot be run
}

// memoryOf finds the memory of a file, by its metadata and by the tensors that are named after it. There is one at the most.
func memoryOf(f *weights.File) []memoryInfo {
	md := f.Metadata()
	arch, _ := md.String("general.architecture")
	kind, _ := md.String(arch + ".memory.kind")
	if kind == "" || kind == "none" {
		return []memoryInfo{}
	}
	x := memoryInfo{Kind: kind, Layers: []int32{}}
	if layers, ok := md.Int32s(arch + ".memory." + kind + ".layers"); ok {
		x.Layers = append(x.Layers, layers...)
	}
	for _, t := range f.Tensors() {
		if _, name, ok := strings.Cut(strings.TrimPrefix(t.Name, "blk."), "."); ok && strings.HasPrefix(name, "mem_") {
			x.Tensors++
			x.Parameters += int64(t.Elements())
			x.Bytes += int64(len(t.Data))
		}
	}
	if m, err := mneme.Open(f.Paths()[0], mneme.WithThreads(1)); err == nil {
		if plan, err := m.Plan(0); err == nil {
			x.StateBytes = plan.StateBytes
		}
		m.Close()
	}
	return []memoryInfo{x}
}

func (c *inspectCommand) printMemory(list []memoryInfo) {
	for _, x := range list {
		state := ""
		if x.StateBytes > 0 {
			state = fmt.Sprintf("; a session's state is %s, however long its text", byteSize(x.StateBytes))
		}
		c.printf("\nMemory: %s in layers %s, %d tensors, %d parameters, %s%s\n",
			printable(x.Kind), strings.Trim(strings.ReplaceAll(fmt.Sprint(x.Layers), " ", ", "), "[]"), x.Tensors, x.Parameters, byteSize(x.Bytes), state)
	}
}
