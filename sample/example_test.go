package sample_test

import (
	"fmt"
	"log"

	"github.com/mneme-lm/mneme/sample"
)

func Example() {
	options := sample.Default()
	options.Seed = 42
	options.RepeatPenalty = 1.1
	chain, err := sample.New(options)
	if err != nil {
		log.Fatal(err)
	}
	logits := []float32{0.1, 9, 2, 0.3}
	id, err := chain.Sample(logits)
	if err != nil {
		log.Fatal(err)
	}
	chain.Accept(id)
	fmt.Println(id, len(chain.Candidates()))
	// Output: 1 1
}

func ExampleNew_greedy() {
	chain, err := sample.New(sample.Options{})
	if err != nil {
		log.Fatal(err)
	}
	id, err := chain.Sample([]float32{1, 3, 2})
	fmt.Println(id, err)
	// Output: 1 <nil>
}

func ExampleNew_error() {
	options := sample.Default()
	options.TopP = 1.5
	_, err := sample.New(options)
	fmt.Println(err)
	// Output: sample: top_p is 1.5, want a number from 0 to 1
}

func ExampleChain_State() {
	chain, err := sample.New(sample.Default())
	if err != nil {
		log.Fatal(err)
	}
	saved, err := chain.State()
	if err != nil {
		log.Fatal(err)
	}
	logits := []float32{1, 1, 1, 1, 1, 1, 1, 1}
	first, _ := chain.Sample(logits)
	if err := chain.Restore(saved); err != nil {
		log.Fatal(err)
	}
	again, _ := chain.Sample(logits)
	fmt.Println(first == again)
	// Output: true
}
