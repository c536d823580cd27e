package mneme_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// randomModel writes a small random model for the examples to run: what it says is noise.
func randomModel() string {
	file, err := os.CreateTemp("", "*.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		log.Fatal(err)
	}
	if err := synth.WriteTo(context.Background(), file, shape, quant.Q8_0, 1); err != nil {
		log.Fatal(err)
	}
	return file.Name()
}

func Example() {
	path := randomModel()
	defer os.Remove(path)

	model, err := mneme.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	session, err := model.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	count := 0
	for token, err := range session.Generate(context.Background(), "Once upon a time", mneme.WithMaxTokens(8), mneme.WithIgnoreEnd()) {
		if err != nil {
			log.Fatal(err)
		}
		_ = token.Text // print it as it comes
		count++
	}
	fmt.Println(count, "tokens,", session.Stats().Stopped)
	// Output: 8 tokens, length
}

func ExampleSession_Generate_sampling() {
	path := randomModel()
	defer os.Remove(path)
	model, err := mneme.Open(path, mneme.WithThreads(1))
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	options := sample.Default()
	options.Temperature, options.TopK, options.Seed = 0.7, 20, 42
	var texts [2]string
	for i := range texts {
		session, err := model.NewSession()
		if err != nil {
			log.Fatal(err)
		}
		for token, err := range session.Generate(context.Background(), "Hello", mneme.WithSampling(options), mneme.WithMaxTokens(10)) {
			if err != nil {
				log.Fatal(err)
			}
			texts[i] += token.Text
		}
	}
	fmt.Println("same seed, same text:", texts[0] == texts[1])
	// Output: same seed, same text: true
}

func ExampleModel_Plan() {
	path := randomModel()
	defer os.Remove(path)
	model, err := mneme.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()

	plan, err := model.Plan(1024, mneme.WithKVType(quant.F16))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("keys and values of 1,024 tokens:", plan.KVBytes, "bytes")
	// Output: keys and values of 1,024 tokens: 540672 bytes
}
