package tokenizer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

var _ tokenizer.Metadata = (*weights.Metadata)(nil)

// load builds the tokenizer of a GGUF file.
func load(tb testing.TB, path string) *tokenizer.Tokenizer {
	tb.Helper()
	f, err := weights.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	t, err := tokenizer.New(f.Metadata())
	if err != nil {
		tb.Fatalf("%s: %v", filepath.Base(path), err)
	}
	return t
}

// sharedFiles returns the files in a shared folder that match a pattern.
func sharedFiles(tb testing.TB, folder, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(testdata.Shared(tb, folder), pattern))
	if err != nil || len(files) == 0 {
		tb.Fatalf("%s/%s: no files (%v)", folder, pattern, err)
	}
	return files
}

// vectors returns published texts with their ids: texts are separated by a marker, ids are one text to a line.
func vectors(tb testing.TB, path string) (texts []string, ids [][]int32) {
	tb.Helper()
	in, err := os.ReadFile(path + ".inp")
	if err != nil {
		tb.Fatal(err)
	}
	out, err := os.ReadFile(path + ".out")
	if err != nil {
		tb.Fatal(err)
	}
	texts = strings.Split(string(in), "\n__ggml_vocab_test__\n")
	for _, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		var list []int32
		for _, f := range strings.Fields(line) {
			id, err := strconv.ParseInt(f, 10, 32)
			if err != nil {
				tb.Fatal(err)
			}
			list = append(list, int32(id))
		}
		ids = append(ids, list)
	}
	if len(texts) < len(ids) || len(ids) < 40 {
		tb.Fatalf("%s: %d texts, %d lines of ids", path, len(texts), len(ids))
	}
	return texts, ids
}

func TestPublishedVectors(t *testing.T) {
	for _, path := range sharedFiles(t, "vocab", "*.gguf") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			tok := load(t, path)
			texts, want := vectors(t, path)
			for i := range want {
				got := tok.Encode(texts[i], tokenizer.EncodeOptions{})
				if !slices.Equal(got, want[i]) {
					t.Errorf("%q:\n got %v\nwant %v", texts[i], got, want[i])
				}
				if back := tok.Text(got, tokenizer.DecodeOptions{}); back != texts[i] {
					t.Errorf("%q comes back as %q", texts[i], back)
				}
			}
		})
	}
}

// goldenPrompts are those of golden/README.md.
var goldenPrompts = map[string]string{
	"short": "Once upon a time, there was a",
	"long": `Tom and his dog went to the park. The sun was warm and the sky was blue. ` +
		`"Can we play with the red ball?" asked Tom. His mom smiled and said, "Yes, but be careful near the pond." ` +
		`Tom ran and ran. The dog ran too. Then they saw a big frog`,
}

func TestGoldenPrompts(t *testing.T) {
	for _, path := range sharedFiles(t, "golden", "*.*.json") {
		model, prompt, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), ".")
		if i := strings.LastIndexByte(prompt, '.'); i >= 0 {
			model, prompt = model+"."+prompt[:i], prompt[i+1:]
		}
		t.Run(model+"/"+prompt, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var golden struct {
				PromptTokens []int32 `json:"prompt_tokens"`
			}
			if err := json.Unmarshal(text, &golden); err != nil {
				t.Fatal(err)
			}
			tok := load(t, testdata.Shared(t, "models/"+model+".gguf"))
			got := tok.Encode(goldenPrompts[prompt], tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
			if !slices.Equal(got, golden.PromptTokens) {
				t.Errorf("got %v\nwant %v", got, golden.PromptTokens)
			}
			if back := tok.Text(got, tokenizer.DecodeOptions{}); back != goldenPrompts[prompt] {
				t.Errorf("comes back as %q", back)
			}
		})
	}
}
