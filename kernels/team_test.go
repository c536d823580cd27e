package kernels

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type taskFunc func(w *Worker)

func (f taskFunc) Work(w *Worker) { f(w) }

func TestTeamCoversEveryIndexOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		for _, n := range []int{0, 1, 7, 64, 1000} {
			for _, grain := range []int{1, 3, 64} {
				t.Run(fmt.Sprint(threads, n, grain), func(t *testing.T) {
					team := newTeam(threads)
					defer team.Close()
					hits := make([]atomic.Int32, n)
					for range 3 {
						mustRun(t, team, func(w *Worker) {
							// Three loops before the first barrier, and one after it.
							for range 3 {
								w.For(n, grain, func(from, to int) { count(hits[from:to]) })
							}
							w.Barrier()
							w.For(n, grain, func(from, to int) { count(hits[from:to]) })
						})
					}
					for i := range hits {
						if got := hits[i].Load(); got != 12 {
							t.Fatalf("index %d was worked on %d times, want 12", i, got)
						}
					}
				})
			}
		}
	}
}

func count(hits []atomic.Int32) {
	for i := range hits {
		hits[i].Add(1)
	}
}

func mustRun(t *testing.T, team *Team, f taskFunc) {
	t.Helper()
	done, err := team.Run(f, nil)
	if err != nil || !done {
		t.Fatalf("Run: done %v, error %v", done, err)
	}
}

func TestBarrierSeparatesSteps(t *testing.T) {
	const threads, steps = 4, 500
	team := newTeam(threads)
	defer team.Close()
	var sum atomic.Int32
	var bad atomic.Bool
	mustRun(t, team, func(w *Worker) {
		for step := range steps {
			if sum.Load() < int32(step*threads) {
				bad.Store(true)
			}
			sum.Add(1)
			w.Barrier()
			if sum.Load() < int32((step+1)*threads) {
				bad.Store(true)
			}
		}
	})
	if bad.Load() || sum.Load() != threads*steps {
		t.Fatalf("a thread passed a barrier before the others came to it (sum %d)", sum.Load())
	}
}

func TestTeamWakesFromPark(t *testing.T) {
	team := newTeam(3)
	defer team.Close()
	for range 3 {
		time.Sleep(20 * time.Millisecond) // far beyond the spinning
		var runs atomic.Int32
		mustRun(t, team, func(w *Worker) {
			runs.Add(1)
			if w.ID == 1 {
				time.Sleep(10 * time.Millisecond) // the others park inside the barrier
			}
			w.Barrier()
			runs.Add(1)
		})
		if runs.Load() != 6 {
			t.Fatalf("%d of 6 halves ran", runs.Load())
		}
	}
}

func TestStopIsSeenByAllAlike(t *testing.T) {
	team := newTeam(4)
	defer team.Close()
	for range 50 {
		var stop atomic.Bool
		var after atomic.Int32
		done, err := team.Run(taskFunc(func(w *Worker) {
			w.For(1000, 1, func(from, _ int) {
				if from == 3 {
					stop.Store(true)
				}
			})
			w.Barrier()
			if w.Stopped() {
				return
			}
			after.Add(1)
			w.Barrier()
		}), &stop)
		if err != nil || done || after.Load() != 0 {
			t.Fatalf("done %v, error %v, %d threads went on", done, err, after.Load())
		}
	}
	mustRun(t, team, func(w *Worker) { w.Barrier() }) // a stopped run leaves the team usable
}

func TestTeamConcurrentRunsAndClose(t *testing.T) {
	team := newTeam(2)
	var wg sync.WaitGroup
	var ran atomic.Int32
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, err := team.Run(taskFunc(func(w *Worker) { ran.Add(1); w.Barrier() }), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	team.Close()
	team.Close()
	if ran.Load() != 8*20*2 {
		t.Fatalf("%d threads ran, want %d", ran.Load(), 8*20*2)
	}
	if _, err := team.Run(taskFunc(func(*Worker) {}), nil); !errors.Is(err, ErrClosed) {
		t.Fatalf("Run after Close: %v", err)
	}
}

func TestNewTeamIsCappedAtTheProcessors(t *testing.T) {
	team := NewTeam(1 << 20)
	defer team.Close()
	if most := NewTeam(0); team.Threads() != most.Threads() {
		t.Fatalf("%d threads, want %d", team.Threads(), most.Threads())
	}
}

type emptyTask struct{}

func (emptyTask) Work(w *Worker) {
	for range 100 {
		w.Barrier()
	}
}

func BenchmarkBarrier(b *testing.B) {
	team := NewTeam(0)
	defer team.Close()
	for b.Loop() {
		if _, err := team.Run(emptyTask{}, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/barrier")
}
