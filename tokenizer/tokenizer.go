package tokenizer

import (
	"fmt"
	"slices"
)

// The values of tokenizer.ggml.model that are known.
const (
	modelLlama = "llama"
	modelGPT2  = "gpt2"
	modelWords = "words"
)

// Tokenizer encodes text as token ids and decodes ids to text.
type Tokenizer struct {
	model      string
	pre        string
	preAssumed bool
	vocab      *vocabulary
	ids        specialIDs
	ends       []int32 // of generation, ascending
	special    *specialTokens
	encoder    encoder
	byteLevel  bool // tokens are spelled in the byte-level alphabet
	stripFirst bool // the text of the first token loses one leading space
}

// encoder encodes the text between special tokens.
type encoder interface {
	// appendText appends the ids of a text. first says that the text is at the start or follows a special token.
	appendText(dst []int32, text string, first bool) []int32
}

// New builds a tokenizer from metadata. The error is an [*UnsupportedError] if the file asks for a tokenizer that is
// not known.
func New(md Metadata) (*Tokenizer, error) {
	r := reader{md}
	t := &Tokenizer{}
	rule, err := t.readModel(r)
	if err != nil {
		return nil, err
	}
	if t.vocab, err = readVocabulary(r); err != nil {
		return nil, err
	}
	if err = t.readRoles(r, rule); err != nil {
		return nil, err
	}
	if err = t.buildEncoder(r, rule); err != nil {
		return nil, err
	}
	return t, nil
}

// readModel reads what kind of tokenizer it is.
func (t *Tokenizer) readModel(r reader) (preRule, error) {
	var err error
	if t.model, err = r.text(keyModel); err != nil {
		return preRule{}, err
	}
	switch t.model {
	case modelLlama, modelWords:
		return preRule{}, nil
	case modelGPT2:
	case "":
		return preRule{}, fmt.Errorf("tokenizer: there is no %s", keyModel)
	default:
		return preRule{}, &UnsupportedError{Key: keyModel, Value: t.model, Known: []string{modelGPT2, modelLlama, modelWords}}
	}
	if t.pre, err = r.text(keyPre); err != nil {
		return preRule{}, err
	}
	if t.pre == "" {
		t.pre, t.preAssumed = defaultPre, true
	}
	return findPreRule(t.pre)
}

// readRoles finds out which tokens have a role.
func (t *Tokenizer) readRoles(r reader, rule preRule) error {
	var err error
	if t.ids, err = readSpecialIDs(r, t.vocab, defaultIDs(r, t.model, rule)); err != nil {
		return err
	}
	if t.ids.addBOS && t.ids.bos < 0 {
		return fmt.Errorf("tokenizer: texts begin with a BOS token, but the vocabulary has none")
	}
	if t.ids.addEOS && t.ids.eos < 0 {
		return fmt.Errorf("tokenizer: texts end with an EOS token, but the vocabulary has none")
	}
	t.ids = detectSpecialIDs(r, t.vocab, t.ids)
	t.ends = findEndOfGeneration(t.vocab, t.ids)
	setStripping(r, t.vocab, t.pre)
	t.special, err = newSpecialTokens(t.vocab)
	return err
}

func (t *Tokenizer) buildEncoder(r reader, rule preRule) error {
	switch t.model {
	case modelGPT2:
		bpe, err := newBPE(r, t.vocab, rule)
		t.encoder, t.byteLevel = bpe, true
		return err
	case modelWords:
		words, err := newWords(t.vocab, t.ids.unk)
		t.encoder, t.stripFirst = words, true
		return err
	}
	spm, err := newSPM(r, t.vocab, t.ids.unk)
	if err != nil {
		return err
	}
	t.encoder, t.stripFirst = spm, spm.spacePrefix
	return nil
}

// EncodeOptions says how [Tokenizer.Encode] treats special tokens.
type EncodeOptions struct {
	AddSpecial   bool // put BOS before and EOS after the text, as far as the metadata asks for them
	ParseSpecial bool // control tokens written in the text, such as <|im_end|>, are these tokens
	Continue     bool // the text goes on from another one: it gets no space in front
}

// Encode returns the ids of a text, none for an empty one unless BOS or EOS is added. User-defined tokens are always
// found in the text. Without ParseSpecial a text cannot produce control tokens, except where their spelling is what the
// merges happen to form.
func (t *Tokenizer) Encode(text string, opts EncodeOptions) []int32 {
	ids := make([]int32, 0, len(text)/3+2)
	if opts.AddSpecial && t.ids.addBOS {
		ids = append(ids, t.ids.bos)
	}
	if text != "" {
		ids = t.appendFragments(ids, text, opts)
	}
	if opts.AddSpecial && t.ids.addEOS {
		ids = append(ids, t.ids.eos)
	}
	return ids
}

func (t *Tokenizer) appendFragments(ids []int32, text string, opts EncodeOptions) []int32 {
	first := !opts.Continue
	for _, f := range t.special.partition(text, opts.ParseSpecial) {
		if f.token != noToken {
			ids = append(ids, f.token)
			first = true
			continue
		}
		ids = t.encoder.appendText(ids, text[f.start:f.end], first)
		first = false
	}
	return ids
}

// Model returns the kind of tokenizer: "llama", "gpt2" or "words".
func (t *Tokenizer) Model() string { return t.model }

// Pre returns the name of the pre-tokenizer as the metadata gives it; it is empty for the models llama and words,
// which have none.
func (t *Tokenizer) Pre() string { return t.pre }

// PreAssumed reports whether the metadata names no pre-tokenizer although the model gpt2 needs one, so that "default"
// was taken. The model may then read its text cut otherwise than it was trained with.
func (t *Tokenizer) PreAssumed() bool { return t.preAssumed }

// Size returns the number of tokens. Ids are below it.
func (t *Tokenizer) Size() int { return len(t.vocab.text) }

// Lookup returns the token of this spelling, which is that of the file: with U+2581 or U+0120 for a space.
func (t *Tokenizer) Lookup(spelling string) (id int32, ok bool) {
	id, ok = t.vocab.ids[spelling]
	return id, ok
}

// Spelling returns how the file spells a token, and false if there is no such token.
func (t *Tokenizer) Spelling(id int32) (string, bool) {
	if !t.vocab.valid(id) {
		return "", false
	}
	return t.vocab.text[id], true
}

// Kind returns what a token is for, [KindUndefined] if there is no such token. A token that ends generation is a control
// token whatever the file says.
func (t *Tokenizer) Kind(id int32) Kind {
	if !t.vocab.valid(id) {
		return KindUndefined
	}
	return t.vocab.kind(id)
}

// BOS returns the token that begins a text.
func (t *Tokenizer) BOS() (id int32, ok bool) { return t.ids.bos, t.ids.bos >= 0 }

// EOS returns the token that ends a text.
func (t *Tokenizer) EOS() (id int32, ok bool) { return t.ids.eos, t.ids.eos >= 0 }

// EOT returns the token that ends a turn of a conversation.
func (t *Tokenizer) EOT() (id int32, ok bool) { return t.ids.eot, t.ids.eot >= 0 }

// UNK returns the token that stands for what the vocabulary cannot express.
func (t *Tokenizer) UNK() (id int32, ok bool) { return t.ids.unk, t.ids.unk >= 0 }

// SEP returns the token that separates two texts.
func (t *Tokenizer) SEP() (id int32, ok bool) { return t.ids.sep, t.ids.sep >= 0 }

// PAD returns the token that fills up a batch.
func (t *Tokenizer) PAD() (id int32, ok bool) { return t.ids.pad, t.ids.pad >= 0 }

// AddsBOS reports whether a text begins with BOS.
func (t *Tokenizer) AddsBOS() bool { return t.ids.addBOS }

// AddsEOS reports whether a text ends with EOS.
func (t *Tokenizer) AddsEOS() bool { return t.ids.addEOS }

// AddsSEP reports whether the model expects SEP between two texts. Encode, which has one text, never adds it.
func (t *Tokenizer) AddsSEP() bool { return t.ids.addSEP }

// IsEndOfGeneration reports whether nothing more is to be generated after a token.
func (t *Tokenizer) IsEndOfGeneration(id int32) bool {
	_, ok := slices.BinarySearch(t.ends, id)
	return ok
}

// EndOfGeneration returns the tokens for which IsEndOfGeneration is true, ascending.
func (t *Tokenizer) EndOfGeneration() []int32 { return slices.Clone(t.ends) }
