package tokenizer

import "unicode/utf8"

// What follows is for programs that make vocabularies of the model gpt2, so that these are made of what encoding will see.

// Pretokenize hands the words that the pre-tokenizer of this name cuts a text into to emit, in order: those whose bytes
// [Tokenizer.Encode] merges. A byte that belongs to no character is read as U+FFFD. The error is an [*UnsupportedError] if
// there is no such pre-tokenizer.
func Pretokenize(pre, text string, emit func(word string)) error {
	rule, err := findPreRule(pre)
	if err != nil {
		return err
	}
	if !utf8.ValidString(text) {
		text = replaceInvalid(text)
	}
	walk(text, rule.stages, emit)
	return nil
}

// SpellByteLevel returns how vocabularies of the model gpt2 spell bytes: each as one printable character.
func SpellByteLevel(raw string) string { return string(appendByteLevel(nil, raw)) }
