package bench

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/tokenizer"
)

// Documents are ready texts with questions.
type Documents struct {
	places    []Place
	haystacks []Haystack
	sum       hash.Hash // of what there is to read and to be written
}

// document is a line of a file.
type document struct {
	Length   int             `json:"length"`
	Depth    float64         `json:"depth"`
	Type     string          `json:"type"`
	Tokens   []int32         `json:"tokens"`
	Text     *string         `json:"text"`
	Question json.RawMessage `json:"question"` // a text or ids
	Answer   json.RawMessage `json:"answer"`   // a text, several, or ids
}

// spareTokens is how many tokens more than the expected ones the model may write where the answer is a text.
const spareTokens = 32

// ReadDocuments reads ready texts for a model, a JSON object on each line:
//
//   - "tokens": [ids], "question": [ids], "answer": [ids]. Without a question it is the last sentence of the tokens. The answer is
//     right if the model writes these tokens;
//   - "text", "question" and "answer" as strings, or a list of strings as the answer: right if what the model writes has them all.
//     Nothing is put between text and question.
//
// Both have "depth", 0 to 1, and may have "type" and "length", which is the number of tokens unless it is given.
func ReadDocuments(from io.Reader, m *mneme.Model) (*Documents, error) {
	d := &Documents{sum: sha256.New()}
	lines := bufio.NewReaderSize(from, 1<<20)
	numbers := map[Place]int{}
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if wrong := d.add(line, m, numbers); wrong != nil {
				return nil, fmt.Errorf("line %d: %w", number, wrong)
			}
		}
		if err == io.EOF {
			break
		}
	}
	if len(d.places) == 0 {
		return nil, errors.New("there are no documents in it")
	}
	return d, nil
}

// add takes a document from a line.
func (d *Documents) add(line []byte, m *mneme.Model, numbers map[Place]int) error {
	var x document
	if err := json.Unmarshal(line, &x); err != nil {
		return err
	}
	var h Haystack
	var err error
	switch {
	case x.Text != nil && x.Tokens != nil:
		return errors.New("both text and tokens")
	case x.Text != nil:
		h, err = x.ofText(m.Tokenizer())
	case x.Tokens != nil:
		h, err = x.ofTokens(m)
	default:
		err = errors.New("neither text nor tokens")
	}
	if err != nil {
		return err
	}
	if x.Length == 0 {
		x.Length = h.length()
	}
	if x.Length < 1 || x.Length > MostLength || !(x.Depth >= 0 && x.Depth <= 1) {
		return fmt.Errorf("length %d, depth %g: want 1 to %d, and 0 to 1", x.Length, x.Depth, MostLength)
	}
	p := Place{Length: x.Length, Depth: x.Depth}
	n := numbers[p]
	numbers[p]++
	p.Type, p.Trial = x.Type, n
	d.places, d.haystacks = append(d.places, p), append(d.haystacks, h)
	return json.NewEncoder(d.sum).Encode(struct {
		Place
		Haystack
	}{p, h})
}

// ofTokens is a document of ids.
func (x *document) ofTokens(m *mneme.Model) (h Haystack, err error) {
	h.Tokens = x.Tokens
	var q Question
	if x.Question != nil {
		if err := json.Unmarshal(x.Question, &q.Tokens); err != nil || len(q.Tokens) == 0 {
			return h, fmt.Errorf("the question is %s, want a list of ids as the tokens are", beginning(x.Question))
		}
	} else {
		at, err := lastSentence(x.Tokens, m.Tokenizer())
		if err != nil {
			return h, err
		}
		h.Tokens, q.Tokens = x.Tokens[:at], x.Tokens[at:]
	}
	if err := json.Unmarshal(x.Answer, &q.Answer); err != nil || len(q.Answer) == 0 {
		return h, fmt.Errorf("the answer is %s, want a list of ids as the tokens are", beginning(x.Answer))
	}
	vocabulary := m.Config().Vocabulary
	for _, id := range slices.Concat(h.Tokens, q.Tokens, q.Answer) {
		if id < 0 || int(id) >= vocabulary {
			return h, fmt.Errorf("there is no token %d, the model has %d", id, vocabulary)
		}
	}
	h.Questions = []Question{q}
	return h, nil
}

// ofText is a document of text.
func (x *document) ofText(t *tokenizer.Tokenizer) (h Haystack, err error) {
	var question string
	var q Question
	if err := json.Unmarshal(x.Question, &question); err != nil || strings.TrimSpace(question) == "" {
		return h, fmt.Errorf("the question is %s, want a text", beginning(x.Question))
	}
	var one string
	if err := json.Unmarshal(x.Answer, &one); err == nil {
		q.Expected = []string{one}
	} else if err := json.Unmarshal(x.Answer, &q.Expected); err != nil {
		return h, fmt.Errorf("the answer is %s, want a text or a list of texts", beginning(x.Answer))
	}
	if len(q.Expected) == 0 || slices.ContainsFunc(q.Expected, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		return h, errors.New("the answer is empty")
	}
	if t == nil {
		return h, mneme.ErrNoTokenizer
	}
	h.Tokens = opening(t, *x.Text)
	q.Tokens = t.Encode(question, tokenizer.EncodeOptions{Continue: true})
	q.MaxTokens = spareTokens
	for _, e := range q.Expected {
		q.MaxTokens += len(t.Encode(e, tokenizer.EncodeOptions{Continue: true}))
	}
	h.Questions = []Question{q}
	return h, nil
}

// lastSentence is where the last sentence of a text begins.
func lastSentence(tokens []int32, t *tokenizer.Tokenizer) (int, error) {
	if t == nil {
		return 0, errors.New(`no "question", and the model has no tokenizer to tell where it begins`)
	}
	for at := len(tokens) - 1; at > 0; at-- {
		piece := bytes.TrimRight(t.Piece(tokens[at-1]), " ")
		if n := len(piece); n > 0 && bytes.IndexByte([]byte(".!?\n"), piece[n-1]) >= 0 {
			return at, nil
		}
	}
	return 0, errors.New(`no "question", and the tokens are a single sentence`)
}

// beginning is what a value begins with, for errors.
func beginning(value json.RawMessage) string {
	const most = 40
	switch {
	case len(value) == 0:
		return "missing"
	case len(value) > most:
		return string(bytes.ToValidUTF8(value[:most], nil)) + "…"
	}
	return string(value)
}

// Places implements Haystacks.
func (d *Documents) Places() []Place { return d.places }

// Size implements Haystacks.
func (d *Documents) Size(number int) (tokens, questions int) {
	h := &d.haystacks[number]
	return h.length(), len(h.Questions)
}

// Haystack implements Haystacks.
func (d *Documents) Haystack(number int) (Haystack, error) { return d.haystacks[number], nil }

// Settings is what the texts depend on.
func (d *Documents) Settings() []Setting {
	return []Setting{{"--documents", fmt.Sprintf("%x", d.sum.Sum(nil))}}
}
