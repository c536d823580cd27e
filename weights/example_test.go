package weights_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// A file is written from its metadata and its list of tensors, then the data of one tensor after the other.
func ExampleNewWriter() {
	md := &weights.Metadata{}
	if err := md.Set("general.architecture", "llama"); err != nil {
		log.Fatal(err)
	}
	tensors := []weights.TensorInfo{{Name: "output_norm.weight", Type: quant.F32, Shape: []int{2}}}
	var file bytes.Buffer
	w, err := weights.NewWriter(&file, md, tensors)
	if err != nil {
		log.Fatal(err)
	}
	data := make([]byte, 8)
	if err := quant.Encode(quant.F32, data, []float32{1, 0.5}); err != nil {
		log.Fatal(err)
	}
	if err := w.WriteTensor("output_norm.weight", data); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	f, err := weights.Parse(file.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for key, value := range f.Metadata().All() {
		fmt.Println(key, "=", value)
	}
	for _, t := range f.Tensors() {
		values, err := t.Float32s()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(t.Name, t.Type, t.Shape, values)
	}
	// Output:
	// general.architecture = "llama"
	// output_norm.weight F32 [2] [1 0.5]
}

func ExampleQuantize() {
	dir, err := os.MkdirTemp("", "mneme")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	large, small := filepath.Join(dir, "large.gguf"), filepath.Join(dir, "small.gguf")
	if err := synth.Write(ctx, large, shape, quant.F32, 1, nil); err != nil {
		log.Fatal(err)
	}
	src, err := weights.Open(large)
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	result, err := weights.Quantize(ctx, small, src, quant.Q4_0, weights.QuantizeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range result.Types {
		fmt.Printf("%d tensors in %s: %d bytes\n", t.Tensors, t.Type, t.Bytes)
	}
	// Output:
	// 5 tensors in F32: 5120 bytes
	// 15 tensors in Q4_0: 700416 bytes
	// 1 tensors in Q6_K: 107520 bytes
}
