package main

import (
	"context"

	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tokenizeCommand shows how a model cuts a text into tokens.
type tokenizeCommand struct {
	*app
	model     string
	text      string
	file      string
	noSpecial bool
}

// tokenizeResult is what tokenize --json prints.
type tokenizeResult struct {
	IDs    []int32  `json:"ids"`
	Pieces []string `json:"pieces"`
}

func newTokenize(a *app) *cobra.Command {
	c := &tokenizeCommand{app: a}
	cmd := &cobra.Command{
		Use:   "tokenize -m FILE (-p TEXT | -f FILE)",
		Short: "Show a text's tokens",
		Long: "tokenize prints the tokens of a text as the model's metadata asks for them. It needs only the file's vocabulary,\n" +
			"not a model that can run. Pieces are the tokens' texts; bytes that are no character are printed <0xE2>.",
		Example: `  infer tokenize -m model.gguf -p "Hello, world"
  infer tokenize -m model.gguf -f letter.txt --no-special --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	addGroup(cmd, "Model", func(set *pflag.FlagSet) { addModelPath(set, &c.model) })
	completeModelPath(cmd)
	addGroup(cmd, "Text", func(set *pflag.FlagSet) {
		set.StringVarP(&c.text, "prompt", "p", "", "`text`, taken literally")
		set.StringVarP(&c.file, "file", "f", "", "`file` with the text (-: standard input), taken as it is")
		set.BoolVar(&c.noSpecial, "no-special", false, "add no BOS or EOS, and take control tokens in the text for text")
	})
	return cmd
}

func (c *tokenizeCommand) run(cmd *cobra.Command) error {
	if c.model == "" {
		return errNoModel
	}
	text, err := c.read(cmd)
	if err != nil {
		return err
	}
	t, err := c.open()
	if err != nil {
		return err
	}
	ids := t.Encode(text, tokenizer.EncodeOptions{AddSpecial: !c.noSpecial, ParseSpecial: !c.noSpecial})
	r := tokenizeResult{IDs: append([]int32{}, ids...), Pieces: make([]string, len(ids))}
	var b []byte
	for i, id := range ids {
		b = t.AppendPiece(b[:0], id, true)
		r.Pieces[i] = piece(b)
	}
	return c.print(cmd.Context(), r)
}

// read returns the text.
func (c *tokenizeCommand) read(cmd *cobra.Command) (string, error) {
	switch inline, file := cmd.Flags().Changed("prompt"), cmd.Flags().Changed("file"); {
	case inline && file:
		return "", usagef("--prompt and --file: one text is enough")
	case !inline && !file:
		return "", usagef("no text given: -p TEXT or -f FILE")
	case file:
		return c.readText(cmd.Context(), c.file)
	}
	return c.text, nil
}

// open reads the vocabulary of the file.
func (c *tokenizeCommand) open() (*tokenizer.Tokenizer, error) {
	f, err := weights.Open(c.model)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := tokenizer.New(f.Metadata())
	if err != nil {
		return nil, inFile(c.model, err)
	}
	if t.PreAssumed() {
		c.warnPreTokenizer(c.model)
	}
	return t, nil
}

func (c *tokenizeCommand) print(ctx context.Context, r tokenizeResult) error {
	if c.json {
		return c.printJSON(r)
	}
	for i, id := range r.IDs {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.printf("%6d  %q\n", id, r.Pieces[i])
	}
	return nil
}
