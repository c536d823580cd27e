package tokenizer_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// benchVocabularies are one of each kind of encoder and pre-tokenizer.
var benchVocabularies = []string{"llama-spm", "gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "falcon"}

// benchTexts are ordinary text and texts made to be hard: no place to cut, nothing but repetition.
func benchTexts(b *testing.B) map[string]string {
	b.Helper()
	const size = 10 << 20
	book, err := os.ReadFile(testdata.Shared(b, "text/war-and-peace.txt"))
	if err != nil {
		b.Fatal(err)
	}
	letters := make([]byte, size)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range letters {
		letters[i] = 'a' + byte(rng.IntN(26))
	}
	return map[string]string{
		"book":     string(book),
		"letters":  string(letters),
		"repeated": strings.Repeat("a", size),
		"spaces":   strings.Repeat(" ", size),
		"han":      strings.Repeat("中文没有空格", size/18),
	}
}

func BenchmarkEncode(b *testing.B) {
	texts := benchTexts(b)
	for _, name := range benchVocabularies {
		tok := load(b, testdata.Shared(b, "vocab/ggml-vocab-"+name+".gguf"))
		for _, kind := range []string{"book", "letters", "repeated", "spaces", "han"} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(texts[kind])))
				b.ReportAllocs()
				for b.Loop() {
					tok.Encode(texts[kind], tokenizer.EncodeOptions{ParseSpecial: true})
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	book, err := os.ReadFile(testdata.Shared(b, "text/war-and-peace.txt"))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"llama-spm", "llama-bpe"} {
		tok := load(b, testdata.Shared(b, "vocab/ggml-vocab-"+name+".gguf"))
		ids := tok.Encode(string(book), tokenizer.EncodeOptions{})
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(book)))
			for b.Loop() {
				tok.Text(ids, tokenizer.DecodeOptions{})
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, name := range benchVocabularies {
		path := testdata.Shared(b, "vocab/ggml-vocab-"+name+".gguf")
		b.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(b *testing.B) {
			f, err := weights.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			for b.Loop() {
				if _, err := tokenizer.New(f.Metadata()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
