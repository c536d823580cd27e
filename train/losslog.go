package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
)

// lossLog is a file of comma-separated values with a line for each step. A nil one takes everything and keeps nothing.
type lossLog struct {
	file  *os.File
	sum   hash.Hash // of what the file holds
	out   *bufio.Writer
	csv   *csv.Writer
	bytes int64
}

// entry is a line.
type entry struct {
	stage      string
	step       int
	tokens     int64
	loss       float32
	rate, norm float64
	speed      float64 // tokens per second
	examined   bool
	marks      Marks
	zeroed     Marks
}

var logHeader = []string{"step", "stage", "tokens", "loss", "rate", "gradient_norm", "tokens_per_second", "exam_loss", "recall", "exam_loss_zeroed", "recall_zeroed"}

// logged is what of a log belongs to a run that was kept: so many bytes, and their sum.
type logged struct {
	Bytes int64  `json:"bytes"`
	Sum   string `json:"sum"`
}

// openLog opens the log of a run. One that goes on has the log that it was kept with, and what was written after that is dropped.
func openLog(path string, had logged, goesOn bool) (l *lossLog, err error) {
	switch {
	case path == "" && had.Bytes == 0:
		return nil, nil
	case path == "":
		return nil, errors.New("train: the run that is to go on was kept with a log, and there is none now")
	case goesOn && had.Bytes == 0:
		return nil, errors.New("train: the run that is to go on was kept without a log")
	}
	flags := os.O_RDWR
	if !goesOn {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("train: log %s: %w", path, err), f.Close())
		}
	}()
	sum := sha256.New()
	if n, err := io.CopyN(sum, f, had.Bytes); err != nil && err != io.EOF {
		return nil, err
	} else if n < had.Bytes || goesOn && hex.EncodeToString(sum.Sum(nil)) != had.Sum {
		return nil, errors.New("it is not the one that the run was kept with")
	}
	if err := f.Truncate(had.Bytes); err != nil {
		return nil, err
	}
	l = &lossLog{file: f, sum: sum, out: bufio.NewWriter(io.MultiWriter(f, sum)), bytes: had.Bytes}
	l.csv = csv.NewWriter(l)
	if !goesOn {
		return l, l.csv.Write(logHeader)
	}
	return l, nil
}

// Write counts what it hands on.
func (l *lossLog) Write(p []byte) (int, error) {
	n, err := l.out.Write(p)
	l.bytes += int64(n)
	return n, err
}

func (l *lossLog) write(e entry) error {
	if l == nil {
		return nil
	}
	line := []string{
		strconv.Itoa(e.step), e.stage, strconv.FormatInt(e.tokens, 10), strconv.FormatFloat(float64(e.loss), 'g', -1, 32),
		strconv.FormatFloat(e.rate, 'g', 6, 64), strconv.FormatFloat(e.norm, 'g', 6, 64), strconv.FormatFloat(e.speed, 'f', 0, 64),
	}
	for _, m := range []Marks{e.marks, e.zeroed} {
		loss, recall := "", ""
		if e.examined && m.Documents > 0 {
			loss = strconv.FormatFloat(m.Loss, 'g', 6, 64)
		}
		if e.examined && m.Asked > 0 {
			recall = strconv.FormatFloat(m.Recall(), 'f', 4, 64)
		}
		line = append(line, loss, recall)
	}
	return l.csv.Write(line)
}

// flush has the file hold all lines, and tells what it holds.
func (l *lossLog) flush() (logged, error) {
	if l == nil {
		return logged{}, nil
	}
	l.csv.Flush()
	if err := errors.Join(l.csv.Error(), l.out.Flush(), l.file.Sync()); err != nil {
		return logged{}, err
	}
	return logged{l.bytes, hex.EncodeToString(l.sum.Sum(nil))}, nil
}

func (l *lossLog) close() error {
	if l == nil {
		return nil
	}
	_, err := l.flush()
	return errors.Join(err, l.file.Close())
}
