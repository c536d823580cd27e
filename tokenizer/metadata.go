package tokenizer

import (
	"fmt"
	"math"
	"strings"
)

// Metadata is what a tokenizer reads of a GGUF file: typed access to key-value pairs. A getter answers false if there
// is no such key or its value has another type.
type Metadata interface {
	String(key string) (string, bool)
	Strings(key string) ([]string, bool)
	Float32s(key string) ([]float32, bool)
	Int32s(key string) ([]int32, bool)
	Uint(key string) (uint64, bool)
	Bool(key string) (value, ok bool)
}

// The keys of GGUF metadata that describe a tokenizer.
const (
	keyArchitecture = "general.architecture"
	keyName         = "general.name"

	keyModel     = "tokenizer.ggml.model"
	keyPre       = "tokenizer.ggml.pre"
	keyTokens    = "tokenizer.ggml.tokens"
	keyTokenType = "tokenizer.ggml.token_type"
	keyScores    = "tokenizer.ggml.scores"
	keyMerges    = "tokenizer.ggml.merges"

	keyBOS     = "tokenizer.ggml.bos_token_id"
	keyUnknown = "tokenizer.ggml.unknown_token_id"

	keyAddBOS         = "tokenizer.ggml.add_bos_token"
	keyAddEOS         = "tokenizer.ggml.add_eos_token"
	keyAddSEP         = "tokenizer.ggml.add_sep_token"
	keyAddSpacePrefix = "tokenizer.ggml.add_space_prefix"
	keyRemoveExtra    = "tokenizer.ggml.remove_extra_whitespaces"
)

// UnsupportedError reports a tokenizer or pre-tokenizer that this package does not know.
type UnsupportedError struct {
	Key   string   // the metadata key
	Value string   // what the file asks for
	Known []string // what would have been understood, sorted
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("tokenizer: %s is %q, which is unknown; known are %s", e.Key, e.Value, strings.Join(e.Known, ", "))
}

// reader reads metadata and tells a missing key from one of the wrong type.
type reader struct{ md Metadata }

// present reports whether the key has a value of any type that Metadata can show.
func (r reader) present(key string) bool {
	if _, ok := r.md.String(key); ok {
		return true
	}
	if _, ok := r.md.Strings(key); ok {
		return true
	}
	if _, ok := r.md.Uint(key); ok {
		return true
	}
	if _, ok := r.md.Bool(key); ok {
		return true
	}
	if _, ok := r.md.Int32s(key); ok {
		return true
	}
	_, ok := r.md.Float32s(key)
	return ok
}

// absent returns nil if there is no such key, and otherwise the error that its type is wrong.
func (r reader) absent(key, want string) error {
	if r.present(key) {
		return fmt.Errorf("tokenizer: %s is not %s", key, want)
	}
	return nil
}

// text returns a string, "" if there is none.
func (r reader) text(key string) (string, error) {
	v, ok := r.md.String(key)
	if !ok {
		return "", r.absent(key, "a string")
	}
	return v, nil
}

// flag returns a boolean, or the given value if there is none.
func (r reader) flag(key string, otherwise bool) (bool, error) {
	v, ok := r.md.Bool(key)
	if !ok {
		return otherwise, r.absent(key, "a boolean")
	}
	return v, nil
}

// noID is how files of a 32 bit unsigned type write "no such token".
const noID = math.MaxUint32

// tokenID returns a token id below size, or the given one if the file has none.
func (r reader) tokenID(key string, size int, otherwise int32) (int32, error) {
	v, ok := r.md.Uint(key)
	switch {
	case !ok:
		return otherwise, r.absent(key, "a token id")
	case v == noID:
		return otherwise, nil
	case v >= uint64(size):
		return 0, fmt.Errorf("tokenizer: %s is %d, beyond the vocabulary of %d tokens", key, v, size)
	}
	return int32(v), nil
}
