// Package mneme runs transformer language models from GGUF files, in pure Go, and is what an embedding program
// imports:
//
//	model, err := mneme.Open("model.gguf")
//	...
//	defer model.Close()
//	session, err := model.NewSession()
//	...
//	for token, err := range session.Generate(ctx, "Once upon a time", mneme.WithMaxTokens(100)) {
//		...
//		fmt.Print(token.Text)
//	}
//
// A Model holds the weights, which do not change; a Session holds everything that does. One Model serves any number of
// Sessions in any number of goroutines.
package mneme

import (
	"errors"
	"fmt"
	"sync"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// ErrNoTokenizer is wrapped where text is to be read or written with a model whose file has no vocabulary.
var ErrNoTokenizer = errors.New("the model has no tokenizer")

// Model is an open model. It is safe for concurrent use.
type Model struct {
	file      *weights.File
	adapter   *weights.File // nil: there is none
	net       *model.Model
	runner    *model.Runner
	tokenizer *tokenizer.Tokenizer
	repacked  int64 // bytes of the repacked copy of the weights; 0: there is none

	fingerprint func() (string, error)
}

// ModelOption configures Open.
type ModelOption func(*modelOptions)

type modelOptions struct {
	threads int
	kernels string
	repack  bool
	adapter string
}

// WithThreads sets the number of threads that compute. 0, and any number beyond the processors that the program may
// use, means one per processor. The result does not depend on it.
func WithThreads(n int) ModelOption { return func(o *modelOptions) { o.threads = n } }

// WithKernels chooses an implementation of the kernels by name: "generic" is plain Go. Empty means what the
// environment variable MNEME_CPU names, else the fastest that this machine can run.
func WithKernels(name string) ModelOption { return func(o *modelOptions) { o.kernels = name } }

// WithRepack copies the weights into memory of the model's own when it is opened, in the layout that the kernels read
// fastest: tokens are generated about as fast as memory is read, and are the same ones. It takes as much memory again as
// the weights do in the file (see Model.Repacking) and the time to copy them; Open refuses what does not fit. Types for
// which the kernels have no such layout are read from the file as ever.
func WithRepack() ModelOption { return func(o *modelOptions) { o.repack = true } }

// Open opens a GGUF file, or the first part of a split one. The file is mapped, not read: it must stay as it is until
// Close. Close the model after use.
func Open(path string, opts ...ModelOption) (*Model, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := newModel(file, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return m, nil
}

// newModel makes a model of a file, and of that of an adapter, if the options name one.
func newModel(file *weights.File, opts []ModelOption) (*Model, error) {
	var o modelOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.adapter == "" {
		return makeModel(file, nil, &o)
	}
	adapter, err := weights.Open(o.adapter)
	if err != nil {
		return nil, fmt.Errorf("adapter: %w", err)
	}
	m, err := makeModel(file, adapter, &o)
	if err != nil {
		return nil, errors.Join(err, adapter.Close())
	}
	return m, nil
}

func makeModel(file, adapter *weights.File, o *modelOptions) (*Model, error) {
	if o.threads < 0 {
		return nil, fmt.Errorf("mneme: %d threads", o.threads)
	}
	impl, err := kernels.Choose(o.kernels)
	if err != nil {
		return nil, err
	}
	net, err := model.Load(file)
	if err != nil {
		return nil, err
	}
	if adapter != nil {
		if net, err = adapted(net, file, adapter); err != nil {
			return nil, fmt.Errorf("adapter %s: %w", o.adapter, err)
		}
	}
	m := &Model{file: file, adapter: adapter, net: net, fingerprint: sync.OnceValues(func() (string, error) { return fingerprintOf(file, adapter) })}
	if m.tokenizer, err = loadTokenizer(file, net); err != nil {
		return nil, err
	}
	m.runner = model.NewRunner(net, impl, o.threads)
	if o.repack {
		if err := m.repack(); err != nil {
			m.runner.Close()
			return nil, err
		}
	}
	return m, nil
}

func (m *Model) repack() error {
	need := m.runner.Repacking().Bytes
	if err := refuse(need, "a repacked copy of the weights"); err != nil {
		return err
	}
	if err := m.runner.Repack(); err != nil {
		return fmt.Errorf("mneme: %w", err)
	}
	m.repacked = need
	return nil
}

// loadTokenizer returns nil for a file without a vocabulary.
func loadTokenizer(file *weights.File, net *model.Model) (*tokenizer.Tokenizer, error) {
	kind, ok := file.Metadata().String("tokenizer.ggml.model")
	if !ok || kind == "none" || kind == "no_vocab" {
		return nil, nil
	}
	t, err := tokenizer.New(file.Metadata())
	if err != nil {
		return nil, err
	}
	if t.Size() > net.Vocabulary {
		return nil, fmt.Errorf("mneme: the tokenizer has %d tokens, the embedding matrix %d rows", t.Size(), net.Vocabulary)
	}
	return t, nil
}

// Close releases the model's threads, its file and a repacked copy of the weights. It waits for a batch under way;
// sessions of the model fail from then on.
func (m *Model) Close() error {
	m.runner.Close()
	if m.adapter != nil {
		return errors.Join(m.adapter.Close(), m.file.Close())
	}
	return m.file.Close()
}

// Config returns the shape of the model.
func (m *Model) Config() model.Config { return m.net.Config }

// Metadata returns the file's metadata, which must not be changed.
func (m *Model) Metadata() *weights.Metadata { return m.file.Metadata() }

// Tokenizer returns the model's tokenizer, nil if its file has no vocabulary.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tokenizer }

// Threads is the number of threads that compute.
func (m *Model) Threads() int { return m.runner.Threads() }

// Repacking says what WithRepack takes for this model, whether it was opened with it or not.
func (m *Model) Repacking() model.Repacking { return m.runner.Repacking() }

// Kernels is the name of the kernels' implementation in use.
func (m *Model) Kernels() string { return m.runner.Kernels() }
