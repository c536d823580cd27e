package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// promptFlags say what a model is to read.
type promptFlags struct {
	text   string
	file   string
	tokens string
	escape bool

	given string // which of the three was
}

// add gives a command the flags.
func (f *promptFlags) add(cmd *cobra.Command) {
	addGroup(cmd, "Prompt", func(set *pflag.FlagSet) {
		set.StringVarP(&f.text, "prompt", "p", "", "`text` of the prompt, taken literally; control tokens in it count as such")
		set.StringVarP(&f.file, "file", "f", "", "`file` with the prompt (-: standard input); one line break at its end is left out")
		set.StringVar(&f.tokens, "tokens", "", "the prompt as token `ids`, 1,2,3: nothing is added to them")
		set.BoolVarP(&f.escape, "escape", "e", false, `read \n, \t, \r, \', \", \\ and \x41 in texts on the command line as what they stand for`)
	})
}

// check finds what is wrong before anything is read.
func (f *promptFlags) check(cmd *cobra.Command) error {
	for _, name := range []string{"prompt", "file", "tokens"} {
		switch {
		case !cmd.Flags().Changed(name):
		case f.given != "":
			return usagef("--%s and --%s: one prompt is enough", f.given, name)
		default:
			f.given = name
		}
	}
	if f.given == "" {
		return usagef("no prompt given: -p TEXT, -f FILE or --tokens IDS")
	}
	if f.given == "tokens" {
		_, err := parseTokens(f.tokens)
		return err
	}
	return nil
}

// read returns the prompt's text, "" for one of tokens.
func (f *promptFlags) read(ctx context.Context, a *app) (string, error) {
	switch f.given {
	case "file":
		text, err := a.readText(ctx, f.file)
		if rest, ok := strings.CutSuffix(text, "\n"); ok {
			text = strings.TrimSuffix(rest, "\r")
		}
		return text, err
	case "prompt":
		return f.unescape(f.text), nil
	}
	return "", nil
}

// encode returns the prompt's tokens.
func (f *promptFlags) encode(a *app, m *mneme.Model, path, text string) ([]int32, error) {
	if f.given != "tokens" {
		if err := needTokenizer(m, path); err != nil {
			return nil, err
		}
		ids := m.Tokenizer().Encode(text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
		if bos, ok := m.Tokenizer().BOS(); ok && len(ids) > 1 && ids[0] == bos && ids[1] == bos {
			a.warn("the prompt begins with BOS, and the model adds one: it reads two")
		}
		return ids, nil
	}
	ids, err := parseTokens(f.tokens)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if n := m.Config().Vocabulary; int(id) >= n {
			return nil, usagef("--tokens: there is no token %d, the model has %d", id, n)
		}
	}
	return ids, nil
}

// unescape replaces escape sequences if the user wants it.
func (f *promptFlags) unescape(s string) string {
	if !f.escape {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, _, rest, err := strconv.UnquoteChar(s, 0)
		switch {
		case s[0] != '\\':
			b.WriteByte(s[0])
			rest = s[1:]
		case len(s) > 1 && strings.ContainsRune(`'"`, rune(s[1])):
			b.WriteByte(s[1])
			rest = s[2:]
		case err != nil || !strings.ContainsRune(`nrtx\`, rune(s[1])): // not an escape sequence: itself
			b.WriteByte(s[0])
			rest = s[1:]
		default:
			b.WriteByte(byte(r))
		}
		s = rest
	}
	return b.String()
}

// parseTokens reads a list of ids, separated by commas or spaces, in brackets or not.
func parseTokens(s string) ([]int32, error) {
	s = strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		s = strings.TrimSuffix(inner, "]")
	}
	if strings.TrimSpace(s) == "" {
		return nil, usagef("--tokens: the list is empty")
	}
	var ids []int32
	for _, part := range strings.Split(s, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			words = []string{part}
		}
		for _, word := range words {
			id, err := strconv.ParseInt(word, 10, 32)
			if err != nil || id < 0 {
				return nil, usagef("--tokens: %q is no token id, want a list like 1,2,3", word)
			}
			ids = append(ids, int32(id))
		}
	}
	return ids, nil
}

// readText reads a file, or standard input, whole. Waiting for input ends with ctx.
func (a *app) readText(ctx context.Context, path string) (string, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		if path == "-" {
			if r.data, r.err = io.ReadAll(a.stdin); r.err != nil {
				r.err = fmt.Errorf("standard input: %w", r.err)
			}
		} else {
			r.data, r.err = os.ReadFile(path)
		}
		done <- r
	}()
	select {
	case r := <-done:
		return string(r.data), r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
