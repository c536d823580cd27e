package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"

	"github.com/mneme-lm/mneme"
)

// traceFile takes down what is left whenever rows are dropped: a JSON object on each line.
type traceFile struct {
	file   *os.File
	buffer *bufio.Writer
	lines  *json.Encoder
	err    error // the first
}

func newTrace(path string) (*traceFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	t := &traceFile{file: f, buffer: bufio.NewWriter(f)}
	t.lines = json.NewEncoder(t.buffer)
	return t, nil
}

func (t *traceFile) add(e mneme.Eviction) {
	if t.err == nil {
		t.err = t.lines.Encode(e)
	}
}

// close ends the file, and returns what went wrong with it.
func (t *traceFile) close() error { return errors.Join(t.err, t.buffer.Flush(), t.file.Close()) }
