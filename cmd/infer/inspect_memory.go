package main

import (
	"fmt"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/weights"
)

// memoryInfo is a learned memory that a model was trained with.
type memoryInfo struct {
	Kind       string  `json:"kind"`
	Layers     []int32 `json:"layers"`
	Tensors    int     `json:"tensors"`
	Parameters int64   `json:"parameters"`
	Bytes      int64   `json:"bytes"`                 // of the tensors
	StateBytes int64   `json:"state_bytes"`           // of a session, however long its text
	StateError string  `json:"state_error,omitempty"` // why that is not known
}

// memoryOf finds the memory of a file, a model's or an adapter's, by its metadata and by the tensors that are named after it. There is
// one at the most.
func memoryOf(f *weights.File) []memoryInfo {
	md := f.Metadata()
	arch, _ := md.String("general.architecture")
	adapter, notAdapter := model.ReadAdapter(f)
	if notAdapter == nil {
		arch = "mneme" // whatever the model's
	}
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
	var err error
	if notAdapter == nil {
		x.StateBytes, err = adapter.StateBytes()
	} else {
		x.StateBytes, err = stateBytes(f.Paths()[0])
	}
	if err != nil {
		x.StateError = err.Error()
	}
	return []memoryInfo{x}
}

// stateBytes is the size of what a session of a file's model has of its memory. It follows from the tensors too, so that the model
// must be one that can be run.
func stateBytes(path string) (int64, error) {
	m, err := mneme.Open(path, mneme.WithThreads(1))
	if err != nil {
		return 0, err
	}
	defer m.Close()
	plan, err := m.Plan(0)
	return plan.StateBytes, err
}

func (c *inspectCommand) printMemory(list []memoryInfo) {
	for _, x := range list {
		state := fmt.Sprintf("a session's state is %s, however long its text", byteSize(x.StateBytes))
		if x.StateError != "" {
			state = "how large a session's state is cannot be told: " + printable(x.StateError)
		}
		layers := c.short(strings.Trim(strings.ReplaceAll(fmt.Sprint(x.Layers), " ", ", "), "[]"))
		c.printf("\nMemory: %s in layers %s, %d tensors, %d parameters, %s; %s\n",
			printable(x.Kind), layers, x.Tensors, x.Parameters, byteSize(x.Bytes), state)
	}
}
