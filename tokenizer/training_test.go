package tokenizer

import (
	"errors"
	"strings"
	"testing"
)

func TestPretokenize(t *testing.T) {
	for _, c := range []struct{ pre, text, want string }{
		{"gpt-2", "", ""},
		{"gpt-2", "I'll pay 1234  now\xff", "I|'ll| pay| 1234| | now|\ufffd"},
		{"qwen2", "in 2024", "in| |2|0|2|4"},
	} {
		var words []string
		if err := Pretokenize(c.pre, c.text, func(word string) { words = append(words, word) }); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(words, "|"); got != c.want {
			t.Errorf("%s: %q is cut %q, want %q", c.pre, c.text, got, c.want)
		}
	}
	var unsupported *UnsupportedError
	if err := Pretokenize("esperanto", "a", func(string) { t.Error("a word") }); !errors.As(err, &unsupported) {
		t.Errorf("got %v", err)
	}
}

func TestSpellByteLevel(t *testing.T) {
	if got := SpellByteLevel(" é\n"); got != "ĠÃ©Ċ" {
		t.Errorf("got %q", got)
	}
}
