package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/mneme-lm/mneme/tokenizer"
)

const (
	hfTokenizerFile       = "tokenizer.json"
	hfTokenizerConfigFile = "tokenizer_config.json"
	spmTokenizerFile      = "tokenizer.model" // SentencePiece's own, which is not read

	maxTokenizer = 256 << 20 // bytes of tokenizer.json
)

// hfTokenizer is what tokenizer.json says. Members that do not change ids are left out.
type hfTokenizer struct {
	AddedTokens   []hfToken       `json:"added_tokens"`
	Normalizer    *hfStep         `json:"normalizer"`
	PreTokenizer  *hfStep         `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Model         hfBPE           `json:"model"`
}

// hfToken is a token that is found in a text before anything else.
type hfToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LeftStrip  bool   `json:"lstrip"`
	RightStrip bool   `json:"rstrip"`
	Special    bool   `json:"special"`
}

// hfBPE is byte pair encoding.
type hfBPE struct {
	Type         string    `json:"type"`
	Vocab        hfVocab   `json:"vocab"`
	Merges       []hfMerge `json:"merges"`
	Unknown      *string   `json:"unk_token"`
	Prefix       *string   `json:"continuing_subword_prefix"`
	Suffix       *string   `json:"end_of_word_suffix"`
	Dropout      *float64  `json:"dropout"`
	ByteFallback bool      `json:"byte_fallback"`
	IgnoreMerges bool      `json:"ignore_merges"`
}

// hfVocab maps spellings to ids. Tokenizers that are no BPE have a list here, which is left unread for their type to be
// refused by name.
type hfVocab map[string]int64

// UnmarshalJSON reads an object and passes over anything else.
func (v *hfVocab) UnmarshalJSON(text []byte) error {
	if !strings.HasPrefix(string(text), "{") {
		return nil
	}
	return json.Unmarshal(text, (*map[string]int64)(v))
}

// hfMerge is two tokens that become one, written as a list or with a space between.
type hfMerge struct{ left, right string }

// UnmarshalJSON reads either way.
func (m *hfMerge) UnmarshalJSON(text []byte) error {
	var both string
	if err := json.Unmarshal(text, &both); err == nil {
		var ok bool
		if m.left, m.right, ok = strings.Cut(both, " "); !ok || strings.Contains(m.right, " ") {
			return fmt.Errorf("merge %q: want two tokens with a space between", both)
		}
		return nil
	}
	var list []string
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 2 {
		return fmt.Errorf("merge %.100s: want two tokens", text)
	}
	m.left, m.right = list[0], list[1]
	return nil
}

// hfTokenizer writes the keys of the tokenizer in the folder, if there is one.
func (m *input) hfTokenizer(folder string, c *hfConfig) {
	text, err := readFile(filepath.Join(folder, hfTokenizerFile), maxTokenizer)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(folder, spmTokenizerFile)); err == nil {
			m.fail(fmt.Errorf("%s is not supported without %s", spmTokenizerFile, hfTokenizerFile))
		}
		return
	}
	if err != nil {
		m.fail(err)
		return
	}
	roles, err := readFile(filepath.Join(folder, hfTokenizerConfigFile), maxConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.fail(err)
		return
	}
	if err := m.hfTokenizerKeys(text, roles, c); err != nil {
		m.fail(fmt.Errorf("%s: %w", hfTokenizerFile, err))
	}
}

// hfTokenizerKeys writes the keys and reads them as a program that uses the model will.
func (m *input) hfTokenizerKeys(text, roles []byte, c *hfConfig) error {
	t := &hfTokenizer{}
	if err := json.Unmarshal(text, t); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return err
	}
	v, err := t.vocabulary(c.vocabulary)
	if err != nil {
		return err
	}
	if t.Model.ByteFallback {
		err = m.spmKeys(t, v)
	} else {
		err = m.byteLevelKeys(t)
	}
	if err != nil {
		return err
	}
	m.set("tokenizer.ggml.tokens", v.tokens)
	m.set("tokenizer.ggml.token_type", v.kinds)
	if err := m.roleKeys(t, v, roles, c); err != nil {
		return err
	}
	if m.err == nil {
		_, err = tokenizer.New(&m.md)
	}
	return err
}

// check refuses what neither kind of tokenizer does.
func (t *hfTokenizer) check() error {
	empty := func(s *string) bool { return s == nil || *s == "" }
	switch b := &t.Model; {
	case b.Type != "BPE":
		return fmt.Errorf("a tokenizer of type %q is not supported (known: BPE)", b.Type)
	case !empty(b.Prefix) || !empty(b.Suffix):
		return errors.New("continuing_subword_prefix and end_of_word_suffix are not supported")
	case b.Dropout != nil && *b.Dropout != 0:
		return errors.New("dropout is not supported")
	}
	for _, a := range t.AddedTokens {
		if a.SingleWord || a.LeftStrip || a.RightStrip {
			return fmt.Errorf("added token %q: single_word, lstrip and rstrip are not supported", a.Content)
		}
	}
	return nil
}

// vocabulary is the list of tokens in GGUF's terms.
type vocabulary struct {
	tokens []string
	kinds  []int32
	ids    map[string]int32
}

// vocabulary puts the tokens in the order of their ids. Rows of the embeddings that have no token get names of their own.
func (t *hfTokenizer) vocabulary(size int) (*vocabulary, error) {
	most := int64(-1)
	for _, id := range t.Model.Vocab {
		most = max(most, id)
	}
	for _, a := range t.AddedTokens {
		most = max(most, a.ID)
	}
	if most >= int64(size) {
		return nil, fmt.Errorf("token %d is beyond the vocabulary of %d", most, size)
	}
	v := &vocabulary{tokens: make([]string, size), kinds: make([]int32, size), ids: map[string]int32{}}
	for text, id := range t.Model.Vocab {
		if err := v.enter(text, id, tokenizer.KindNormal); err != nil {
			return nil, err
		}
		if t.Model.ByteFallback && isByteToken(text) {
			v.kinds[id] = int32(tokenizer.KindByte)
		}
	}
	for _, a := range t.AddedTokens {
		kind := tokenizer.KindUserDefined
		if a.Special {
			kind = tokenizer.KindControl
		}
		if err := v.enter(a.Content, a.ID, kind); err != nil {
			return nil, err
		}
	}
	if u := t.Model.Unknown; u != nil {
		if id, ok := v.ids[*u]; ok && t.Model.ByteFallback {
			v.kinds[id] = int32(tokenizer.KindUnknown)
		}
	}
	for id, text := range v.tokens {
		if text == "" {
			v.tokens[id], v.kinds[id] = fmt.Sprintf("[PAD%d]", id), int32(tokenizer.KindUnused)
		}
	}
	return v, nil
}

// enter adds a token, which may be there already.
func (v *vocabulary) enter(text string, id int64, kind tokenizer.Kind) error {
	if id < 0 || id > math.MaxInt32 || text == "" {
		return fmt.Errorf("token %q has the id %d", text, id)
	}
	if before := v.tokens[id]; before != "" && before != text {
		return fmt.Errorf("tokens %q and %q have the same id, %d", min(before, text), max(before, text), id)
	}
	if before, ok := v.ids[text]; ok && int64(before) != id {
		return fmt.Errorf("token %q has the ids %d and %d", text, min(int64(before), id), max(int64(before), id))
	}
	v.tokens[id], v.kinds[id], v.ids[text] = text, int32(kind), int32(id)
	return nil
}

// isByteToken reports whether a token is one byte, as in <0x0A>.
func isByteToken(s string) bool {
	const digits = "0123456789ABCDEF"
	return len(s) == 6 && s[:3] == "<0x" && s[5] == '>' && strings.IndexByte(digits, s[3]) >= 0 && strings.IndexByte(digits, s[4]) >= 0
}
