// Package rowstream encodes the rows of a tensor on several goroutines and writes them in order, holding only a few
// pieces of it in memory at a time.
package rowstream

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/mneme-lm/mneme/weights/quant"
)

// pieceValues is how many values a goroutine makes at a time: 256 KiB of float32, which a core's second-level cache
// holds, and enough work to make the hand-over between goroutines cheap.
const pieceValues = 64 << 10

// Stream is a tensor whose rows are made and encoded piece by piece.
type Stream struct {
	Type   quant.Type
	RowLen int // values in a row
	Rows   int
	// Fill sets dst to the values of the rows from first on, len(dst)/RowLen of them. It is called from several
	// goroutines at once; which rows come together is fixed by RowLen and Rows alone.
	Fill func(dst []float32, first int) error
	// Workers is the number of goroutines; 0 means one for each processor.
	Workers int
}

// piece is a run of rows on its way from a worker to the writer.
type piece struct {
	first, rows int
	data        []byte
	err         error
	done        chan struct{}
}

// Write writes all rows to w and returns when its goroutines have ended. It stops at the first error, or with the
// context's.
func (s Stream) Write(ctx context.Context, w io.Writer) error {
	rowBytes, err := s.Type.RowBytes(s.RowLen)
	if err != nil {
		return err
	}
	if s.RowLen == 0 || s.Rows <= 0 {
		return ctx.Err()
	}
	perPiece := max(1, min(s.Rows, pieceValues/s.RowLen))
	workers := s.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, (s.Rows+perPiece-1)/perPiece)

	within, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	jobs := make(chan *piece)
	ordered := make(chan *piece, workers) // those at work or waiting to be written
	free := make(chan []byte, 2*workers+2)
	wg.Go(func() { s.deal(within, perPiece, rowBytes, jobs, ordered, free) })
	for range workers {
		wg.Go(func() { s.work(perPiece, jobs) })
	}
	for p := range ordered {
		<-p.done
		if p.err != nil {
			return p.err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.Write(p.data); err != nil {
			return err
		}
		free <- p.data[:cap(p.data)]
	}
	return ctx.Err()
}

// deal hands out the pieces in order, to the workers and to the writer, until there are no more or the context ends.
func (s Stream) deal(ctx context.Context, perPiece, rowBytes int, jobs, ordered chan<- *piece, free <-chan []byte) {
	defer close(ordered)
	defer close(jobs)
	for first := 0; first < s.Rows; first += perPiece {
		rows := min(perPiece, s.Rows-first)
		var buf []byte
		select {
		case buf = <-free:
		default:
			buf = make([]byte, perPiece*rowBytes)
		}
		p := &piece{first: first, rows: rows, data: buf[:rows*rowBytes], done: make(chan struct{})}
		select {
		case jobs <- p: // from here on a worker closes done
		case <-ctx.Done():
			return
		}
		select {
		case ordered <- p:
		case <-ctx.Done():
			return
		}
	}
}

// work makes pieces until there are no more.
func (s Stream) work(perPiece int, jobs <-chan *piece) {
	values := make([]float32, perPiece*s.RowLen)
	for p := range jobs {
		dst := values[:p.rows*s.RowLen]
		if p.err = s.Fill(dst, p.first); p.err == nil {
			if err := quant.Encode(s.Type, p.data, dst); err != nil {
				p.err = fmt.Errorf("rows %d to %d: %w", p.first, p.first+p.rows-1, err)
			}
		}
		close(p.done)
	}
}
