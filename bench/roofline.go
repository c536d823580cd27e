package bench

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/sysmem"
	"github.com/mneme-lm/mneme/kernels"
)

// DefaultReadBytes is how much memory is read to measure the bandwidth: far more than caches hold.
const DefaultReadBytes = 1 << 30

// Roofline is what a machine can do at most with the threads and the instructions that a model runs on, each limit on
// its own (Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 52, 2009). An
// operation is a multiplication or an addition: a multiply-add is two.
type Roofline struct {
	ReadGBps  float64 // streaming read from memory, 10⁹ bytes per second
	Int8GOPS  float64 // products of 8-bit integers added up in 32 bits, 10⁹ operations per second
	F32GFLOPS float64 // float32 multiply-adds, 10⁹ operations per second
}

// higher returns the higher of each limit.
func (r Roofline) higher(o Roofline) Roofline {
	return Roofline{max(r.ReadGBps, o.ReadGBps), max(r.Int8GOPS, o.Int8GOPS), max(r.F32GFLOPS, o.F32GFLOPS)}
}

// MeasureRoofline measures the limits of the machine with as many threads and the same kernels as a model runs on. It
// takes about a second, and readBytes of memory for as long; 0 stands for DefaultReadBytes. Each limit is the best of
// several measurements. On processors without instructions for 8-bit products into 32 bits the figure is that of 4-bit
// codes times 8-bit integers, which can be added up in 16 bits for a while.
func MeasureRoofline(ctx context.Context, m *mneme.Model, readBytes int) (Roofline, error) {
	r, err := measureRoofline(ctx, m, readBytes)
	if err != nil {
		return Roofline{}, fmt.Errorf("bench: limits of the machine: %w", err)
	}
	return r, nil
}

func measureRoofline(ctx context.Context, m *mneme.Model, readBytes int) (r Roofline, err error) {
	if readBytes == 0 {
		readBytes = DefaultReadBytes
	}
	if err := checkReadBytes(readBytes); err != nil {
		return r, err
	}
	impl, err := kernels.Choose(m.Kernels())
	if err != nil {
		return r, err
	}
	l := &limits{ctx: ctx, impl: impl.Limits, team: kernels.NewTeam(m.Threads())}
	defer l.team.Close()
	defer context.AfterFunc(ctx, func() { l.stop.Store(true) })()
	r.ReadGBps, err = l.read(readBytes)
	debug.FreeOSMemory() // so that what comes next has the memory of the buffer
	if err != nil {
		return r, err
	}
	if r.F32GFLOPS, err = l.rate(func() int { ops, _ := l.impl.MulAdd(limitRounds); return ops }); err != nil {
		return r, err
	}
	r.Int8GOPS, err = l.rate(func() int { ops, _ := l.impl.Dot8(limitRounds); return ops })
	return r, err
}

// maxReadBytes is beyond any need, and small enough to be asked for.
const maxReadBytes = 1 << 40

func checkReadBytes(n int) error {
	if n < 1 || n > maxReadBytes {
		return fmt.Errorf("a buffer of %d bytes to read: want 1 to %d", n, maxReadBytes)
	}
	if free, known := sysmem.Available(); known && int64(n) > free {
		return fmt.Errorf("a buffer to read of %d MiB, and %d MiB are available: %w", n>>20, free>>20, mneme.ErrMemory)
	}
	return nil
}

const (
	readPasses  = 8
	readPiece   = 1 << 20 // bytes that a thread takes at a time
	limitSlices = 5
	limitTime   = 20 * time.Millisecond // of a slice
	limitRounds = 1 << 10               // microseconds in assembly, less than a millisecond in Go
)

// limits is a team of threads that finds out what it can do.
type limits struct {
	ctx  context.Context
	impl kernels.Limits
	team *kernels.Team
	stop atomic.Bool
}

// task is a function that a team runs.
type task func(w *kernels.Worker)

func (f task) Work(w *kernels.Worker) { f(w) }

func (l *limits) run(f task) error {
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	done, err := l.team.Run(f, &l.stop)
	if err == nil && !done {
		err = context.Cause(l.ctx)
	}
	return err
}

// read returns the speed of the fastest pass over a buffer of n bytes. The threads share it out piece by piece.
func (l *limits) read(n int) (gbps float64, err error) {
	buf := make([]byte, n)
	pieces := (n + readPiece - 1) / readPiece
	piece := func(i int) []byte { return buf[i*readPiece : min((i+1)*readPiece, n)] }
	err = l.run(func(w *kernels.Worker) { // memory that was never written to is no memory yet
		w.For(pieces, 1, func(from, _ int) { fill(piece(from)) })
	})
	if err != nil {
		return 0, err
	}
	var start time.Time
	err = l.run(func(w *kernels.Worker) {
		for range readPasses {
			w.Barrier()
			if w.Stopped() {
				return
			}
			if w.ID == 0 {
				start = time.Now()
			}
			w.For(pieces, 1, func(from, _ int) { l.impl.Read(piece(from)) })
			w.Barrier()
			if w.ID == 0 {
				gbps = max(gbps, giga(n, time.Since(start)))
			}
		}
	})
	return gbps, err
}

func fill(p []byte) {
	for i := range p {
		p[i] = byte(i)
	}
}

// rate returns how many operations per second, in 10⁹, all threads do together in the best slice of time. do is the
// work, some microseconds of it, and returns the number of operations.
func (l *limits) rate(do func() int) (gops float64, err error) {
	rates := make([]float64, l.team.Threads())
	err = l.run(func(w *kernels.Worker) {
		for range limitSlices {
			w.Barrier()
			if w.Stopped() {
				return
			}
			rates[w.ID] = l.slice(do)
			w.Barrier()
			if w.ID == 0 {
				sum := 0.
				for _, r := range rates {
					sum += r
				}
				gops = max(gops, sum)
			}
		}
	})
	return gops, err
}

// slice is one thread's rate over a slice of time.
func (l *limits) slice(do func() int) float64 {
	start, ops := time.Now(), 0
	for {
		ops += do()
		if elapsed := time.Since(start); elapsed >= limitTime || l.stop.Load() {
			return giga(ops, elapsed)
		}
	}
}

// giga is a rate in 10⁹ per second.
func giga(n int, d time.Duration) float64 { return float64(n) / float64(max(d, 1)) }
