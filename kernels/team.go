package kernels

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrClosed is returned by [Team.Run] after [Team.Close].
var ErrClosed = errors.New("kernels: the thread team is closed")

// A Task is run by every thread of a team at once. All threads must make the same sequence of calls to
// [Worker.For] and [Worker.Barrier]: they walk through the steps together.
type Task interface {
	Work(w *Worker)
}

// Team is a fixed number of threads: the caller of Run and goroutines that wait between runs, first spinning, then
// parked. It is safe for concurrent use; runs follow one another.
type Team struct {
	mu        sync.Mutex // held during a run
	closed    bool
	workers   []*Worker
	barrier   *barrier
	task      Task
	stop      *atomic.Bool
	stopped   bool
	stretches []stretch // of the loop being worked on, one for each thread
}

// Worker is one thread of a team, as its task sees it.
type Worker struct {
	// ID is 0 for the caller of Run, up to Threads-1.
	ID int
	// Scratch is memory for this thread alone.
	Scratch Scratch

	team *Team
	loop uint32
	_    [64]byte
}

// NewTeam makes a team of n threads, at least 1 and at most one per processor that the process may use; n ≤ 0 asks
// for that maximum. More threads than processors would wait for each other at every barrier.
func NewTeam(n int) *Team {
	most := min(runtime.GOMAXPROCS(0), runtime.NumCPU())
	if n <= 0 || n > most {
		n = most
	}
	return newTeam(n)
}

func newTeam(n int) *Team {
	t := &Team{barrier: newBarrier(n), stretches: make([]stretch, n)}
	for i := range n {
		t.workers = append(t.workers, &Worker{ID: i, team: t})
	}
	for _, w := range t.workers[1:] {
		go w.serve()
	}
	return t
}

// Threads is the number of threads, the caller of Run among them.
func (t *Team) Threads() int { return len(t.workers) }

// Run has every thread work on the task and returns when all have finished. When stop is not nil and becomes true,
// the threads leave their loops early and meet at the next barrier, where [Worker.Stopped] tells all of them alike;
// Run then reports false.
func (t *Team) Run(task Task, stop *atomic.Bool) (done bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false, ErrClosed
	}
	t.task, t.stop, t.stopped = task, stop, false
	w := t.workers[0]
	t.barrier.wait(nil) // start
	task.Work(w)
	w.Barrier() // finish
	t.task = nil
	return !t.stopped, nil
}

// Close ends the team's goroutines. It waits for a run under way.
func (t *Team) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	t.task = nil
	t.barrier.wait(nil)
}

func (w *Worker) serve() {
	t := w.team
	for {
		t.barrier.wait(nil)
		task := t.task
		if task == nil {
			return
		}
		task.Work(w)
		w.Barrier()
	}
}

// Threads is the number of threads in the team.
func (w *Worker) Threads() int { return len(w.team.workers) }

// Barrier waits until every thread of the team has come to it.
func (w *Worker) Barrier() {
	t := w.team
	t.barrier.wait(t.settle)
}

// settle fixes, for all threads alike, whether the run was stopped.
func (t *Team) settle() {
	if t.stop != nil && t.stop.Load() {
		t.stopped = true
	}
}

// Stopped reports whether the run has been stopped, as of the last barrier: the same answer in every thread.
func (w *Worker) Stopped() bool { return w.team.stopped }

// For calls body for [0, n) in pieces of at most grain. Each thread has a stretch of its own, which it works through in
// order; once through, it takes pieces off the ends of the others' stretches, so that a slower core does less. It does
// not wait for the others; [Worker.Barrier] does.
func (w *Worker) For(n, grain int, body func(from, to int)) {
	t := w.team
	w.loop++
	if len(t.workers) == 1 {
		for from := 0; from < n && !t.stopping(); from += grain {
			body(from, min(from+grain, n))
		}
		return
	}
	grain = max(grain, (n+maxPieces-1)/maxPieces)
	pieces := (n + grain - 1) / grain
	for i := range t.stretches {
		owner := (w.ID + i) % len(t.stretches)
		for !t.stopping() {
			piece, ok := t.take(owner, w.loop, pieces, i > 0)
			if !ok {
				break
			}
			body(piece*grain, min((piece+1)*grain, n))
		}
	}
}

func (t *Team) stopping() bool { return t.stop != nil && t.stop.Load() }

// stretch is what is left of a thread's stretch of a loop: the loop's number in the upper 32 bits, then the first piece and
// the end, of 16 bits each.
type stretch struct {
	atomic.Uint64
	_ [56]byte
}

// maxPieces is the most pieces of a loop that a stretch can count.
const maxPieces = 1<<16 - 1

// take claims the first or the last piece of what is left of a thread's stretch. Loops are numbered alike in every
// thread. A stretch that is still at an earlier loop has nothing left of that one, since a thread goes on to the next loop
// only after it found all of them empty: it stands for the whole stretch of this loop. One that is already at a later
// loop has nothing left of this one, for the same reason.
func (t *Team) take(owner int, loop uint32, pieces int, last bool) (piece int, ok bool) {
	s := &t.stretches[owner]
	for {
		state := s.Load()
		from, end := pieces*owner/len(t.stretches), pieces*(owner+1)/len(t.stretches)
		if uint32(state>>32) == loop {
			from, end = int(uint16(state>>16)), int(uint16(state))
		} else if int32(uint32(state>>32)-loop) > 0 {
			return 0, false
		}
		if from >= end {
			return 0, false
		}
		if last {
			end--
			piece = end
		} else {
			piece = from
			from++
		}
		if s.CompareAndSwap(state, uint64(loop)<<32|uint64(from)<<16|uint64(end)) {
			return piece, true
		}
	}
}
