package train

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// lossLog is a file of comma-separated values with a line for each step. A nil one takes everything and keeps nothing.
type lossLog struct {
	file *os.File
	out  *bufio.Writer
	csv  *csv.Writer
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

// openLog opens the log of a run of which so many bytes were written when it was kept, and drops what was written after that.
func openLog(path string, written int64) (l *lossLog, err error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("train: log %s: %w", path, err), f.Close())
		}
	}()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if size < written {
		return nil, fmt.Errorf("it has %d bytes, and had %d when the run was kept that is to go on", size, written)
	}
	if err := f.Truncate(written); err != nil {
		return nil, err
	}
	if _, err := f.Seek(written, io.SeekStart); err != nil {
		return nil, err
	}
	l = &lossLog{file: f, out: bufio.NewWriter(f)}
	l.csv = csv.NewWriter(l.out)
	if written == 0 {
		return l, l.csv.Write(logHeader)
	}
	return l, nil
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

// flush has the file hold all lines, and returns its length.
func (l *lossLog) flush() (int64, error) {
	if l == nil {
		return 0, nil
	}
	l.csv.Flush()
	if err := errors.Join(l.csv.Error(), l.out.Flush(), l.file.Sync()); err != nil {
		return 0, err
	}
	return l.file.Seek(0, io.SeekCurrent)
}

func (l *lossLog) close() error {
	if l == nil {
		return nil
	}
	_, err := l.flush()
	return errors.Join(err, l.file.Close())
}
