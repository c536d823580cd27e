package tokenizer_test

import (
	"fmt"
	"log"

	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// The metadata of a model file is that of weights.Open; here it is made by hand.
func Example() {
	var md weights.Metadata
	for key, value := range map[string]any{
		"tokenizer.ggml.model":        "gpt2",
		"tokenizer.ggml.pre":          "gpt-2",
		"tokenizer.ggml.tokens":       []string{"h", "i", "!", "Ġ", "ð", "Ł", "Ļ", "Ĥ", "hi", "<|end|>"},
		"tokenizer.ggml.token_type":   []int32{1, 1, 1, 1, 1, 1, 1, 1, 1, 3},
		"tokenizer.ggml.merges":       []string{"h i"},
		"tokenizer.ggml.eos_token_id": uint32(9),
	} {
		if err := md.Set(key, value); err != nil {
			log.Fatal(err)
		}
	}
	tok, err := tokenizer.New(&md)
	if err != nil {
		log.Fatal(err)
	}

	ids := tok.Encode("hi 🙂!<|end|>", tokenizer.EncodeOptions{ParseSpecial: true})
	fmt.Println(ids)

	// Bytes of a character that is not complete are held back.
	dec := tok.NewDecoder(tokenizer.DecodeOptions{})
	for _, id := range ids {
		fmt.Printf("%q ", dec.Next(id))
	}
	fmt.Printf("%q\n", dec.Flush())
	fmt.Println(tok.IsEndOfGeneration(ids[len(ids)-1]))
	// Output:
	// [8 3 4 5 6 7 2 9]
	// "hi" " " "" "" "" "🙂" "!" "" ""
	// true
}
