package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// metadataName is the member of the header that is no tensor.
const metadataName = "__metadata__"

// entry is what the header says of a tensor.
type entry struct {
	tensor     *Tensor
	begin, end uint64
}

// header is what a header says.
type header struct {
	entries  []entry
	metadata map[string]string
}

// parseHeader reads the JSON text. It goes through it token by token, since members that are there twice, which a
// decoder into Go values does not tell, would have two readers see two models.
func parseHeader(text []byte) (*header, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, errors.New("the header does not begin with an object")
	}
	if !utf8.Valid(text) {
		return nil, errors.New("the header is not UTF-8")
	}
	r := newReader(text)
	h := &header{}
	seen := map[string]bool{}
	err := r.object(func(name string) error {
		if seen[name] {
			return errors.New("there twice")
		}
		seen[name] = true
		if name == metadataName {
			var err error
			h.metadata, err = r.strings()
			return err
		}
		e, err := r.entry(name)
		h.entries = append(h.entries, e)
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return h, nil
}

// reader reads JSON whose shape is known.
type reader struct{ *json.Decoder }

func newReader(text []byte) reader {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return reader{d}
}

// token returns the next token.
func (r reader) token() (json.Token, error) {
	t, err := r.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

// delim reads one of the characters { [ ] }.
func (r reader) delim(want json.Delim) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("want %q, not %s", want.String(), describe(t))
	}
	return nil
}

// object reads an object, and calls member with the name of each of its members to read the value.
func (r reader) object(member func(name string) error) error {
	if err := r.delim('{'); err != nil {
		return err
	}
	for r.More() {
		name, err := r.string()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return fmt.Errorf("%s: %w", quote(name), err)
		}
	}
	return r.delim('}')
}

func (r reader) string() (string, error) {
	t, err := r.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("want a string, not %s", describe(t))
	}
	return s, nil
}

// end is an error if anything but spaces is left.
func (r reader) end() error {
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

// skip reads any value.
func (r reader) skip() error {
	var value json.RawMessage
	return r.Decode(&value)
}

// strings reads an object of strings.
func (r reader) strings() (map[string]string, error) {
	values := map[string]string{}
	return values, r.object(func(name string) error {
		if _, ok := values[name]; ok {
			return errors.New("there twice")
		}
		var err error
		values[name], err = r.string()
		return err
	})
}

// numbers reads an array of whole numbers.
func (r reader) numbers() (values []uint64, err error) {
	if err := r.delim('['); err != nil {
		return nil, err
	}
	for r.More() {
		t, err := r.token()
		if err != nil {
			return nil, err
		}
		text, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("want a whole number, not %s", describe(t))
		}
		n, err := strconv.ParseUint(text.String(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("want a whole number, not %s", describe(t))
		}
		values = append(values, n)
	}
	return values, r.delim(']')
}

// entry reads the description of a tensor, which has just these three members.
func (r reader) entry(name string) (entry, error) {
	e := entry{tensor: &Tensor{Name: name}}
	seen := map[string]bool{}
	err := r.object(func(member string) (err error) {
		if seen[member] {
			return errors.New("there twice")
		}
		seen[member] = true
		switch member {
		case "dtype":
			var dtype string
			dtype, err = r.string()
			e.tensor.DType = DType(dtype)
		case "shape":
			e.tensor.Shape, err = r.shape()
		case "data_offsets":
			e.begin, e.end, err = r.offsets()
		default:
			err = errors.New("unknown member")
		}
		return err
	})
	if err != nil {
		return e, err
	}
	for _, member := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[member] {
			return e, fmt.Errorf("no %s", member)
		}
	}
	return e, nil
}

func (r reader) shape() ([]int, error) {
	values, err := r.numbers()
	if err != nil {
		return nil, err
	}
	shape := make([]int, len(values))
	for i, d := range values {
		if d > math.MaxInt {
			return nil, fmt.Errorf("dimension %d of %d values is more than can be counted", i, d)
		}
		shape[i] = int(d)
	}
	return shape, nil
}

func (r reader) offsets() (begin, end uint64, err error) {
	values, err := r.numbers()
	if err == nil && len(values) != 2 {
		err = fmt.Errorf("%d numbers, want 2", len(values))
	}
	if err != nil {
		return 0, 0, err
	}
	return values[0], values[1], nil
}

// describe prints a token for an error message.
func describe(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		return strconv.Quote(t.String())
	case json.Number:
		return quote(t.String())
	case string:
		return "the string " + quote(t)
	case nil:
		return "null"
	}
	return fmt.Sprint(t)
}
