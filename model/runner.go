package model

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory"
)

// ErrStopped is returned by Forward when it was told to stop.
var ErrStopped = errors.New("model: stopped")

// Row is one token of a batch.
type Row struct {
	Token    int32
	Position int32
	Sequence *Sequence
	Logits   bool // whether the logits after this token are asked for
}

// runEnd is where the run of rows of one sequence ends that begins at first.
func runEnd(rows []Row, first int) int {
	end := first + 1
	for end < len(rows) && rows[end].Sequence == rows[first].Sequence {
		end++
	}
	return end
}

// Runner runs a model's forward pass on a team of threads, with memory that it reuses from batch to batch. Its methods
// may be called from many goroutines; batches follow one another.
type Runner struct {
	model  *Model
	impl   *kernels.Implementation
	team   *kernels.Team
	layers []layer // the model's, or copies with packed matrices
	output linear
	unmap  func() // releases packed matrices, if there are any

	mu          sync.Mutex
	batch       []Row
	slots       []int32 // the number of each batch row in its cache
	ropeAt      []int32 // the position that RoPE gives it
	before      map[*Sequence]start
	turns       map[*ropeTable]*columns
	hiddenOnly  bool // the output matrix is left out
	passes      []pass
	sealing     sealing
	chunkPieces []piece // of a batch, for memories of chunks
	scratch

	failure atomic.Pointer[error]
}

// start is where a sequence stood before the batch.
type start struct {
	seen   int // rows per KV head that its cache had been given
	pieces int // of chunks, that the batch has of it
	base   int // where keys are rotated when they are attended to: the position of the batch's first row
}

// NewRunner makes a runner with its own team of threads (see kernels.NewTeam). Close it after use.
func NewRunner(m *Model, impl *kernels.Implementation, threads int) *Runner {
	r := &Runner{
		model: m, impl: impl, team: kernels.NewTeam(threads), layers: m.layers, output: m.output,
		before: map[*Sequence]start{}, turns: map[*ropeTable]*columns{},
	}
	r.passes = make([]pass, r.team.Threads())
	return r
}

// Threads is the number of threads.
func (r *Runner) Threads() int { return r.team.Threads() }

// Kernels is the name of the kernels' implementation.
func (r *Runner) Kernels() string { return r.impl.Name }

// Close ends the threads, after a batch under way, and gives packed matrices back.
func (r *Runner) Close() {
	r.team.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.layers, r.output = nil, linear{}
	if r.unmap != nil {
		r.unmap()
		r.unmap = func() {}
	}
}

// Forward runs a batch of rows, from any number of sequences, through the model and stores their keys and values. The
// rows of a sequence must be in order of position, and come after what it holds. logits receives, for each row that
// asks for them, the vocabulary's logits, in the order of the batch; they are lent until the function returns.
//
// Each row attends to what its sequence held before and to the rows of the batch at positions up to its own, so that a
// text gives the same result however it is cut into batches, and beside whatever other sequences.
//
// If stop becomes true, or on any error, the sequences are left as they were.
func (r *Runner) Forward(rows []Row, stop *atomic.Bool, logits func(row int, values []float32)) error {
	return r.run(rows, stop, false, logits)
}

// Hidden is Forward, but hands out what the output matrix would be multiplied by: the hidden state after the last layer
// and its norm, [embedding].
func (r *Runner) Hidden(rows []Row, stop *atomic.Bool, states func(row int, values []float32)) error {
	return r.run(rows, stop, true, states)
}

func (r *Runner) run(rows []Row, stop *atomic.Bool, hidden bool, each func(row int, values []float32)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hiddenOnly = hidden
	if len(rows) == 0 {
		return nil
	}
	if err := r.seal(rows); err != nil {
		return err
	}
	if err := r.admit(rows); err != nil {
		r.rollBack()
		return err
	}
	r.scratch.resize(r.model, rows, r.Threads(), !hidden)
	r.failure.Store(nil)
	done, err := r.team.Run(r, stop)
	if err == nil && !done {
		err = ErrStopped
	}
	if failure := r.failure.Load(); err == nil && failure != nil {
		err = *failure
	}
	if err != nil {
		r.rollBack()
		return err
	}
	if each != nil {
		for i, at := range r.wanted {
			if hidden {
				each(int(at), r.last.Row(i))
			} else {
				each(int(at), row(r.logits, i, r.model.Vocabulary))
			}
		}
	}
	for s := range r.before {
		s.Cache.DropUnseen()
	}
	r.forget()
	return nil
}

// admit checks the rows and makes room for them in their caches.
func (r *Runner) admit(rows []Row) error {
	r.batch, r.slots, r.ropeAt, r.chunkPieces = rows, r.slots[:0], r.ropeAt[:0], r.chunkPieces[:0]
	for i := range rows {
		row := &rows[i]
		s := row.Sequence
		if s == nil || s.model != r.model {
			return fmt.Errorf("model: row %d has no sequence of this model", i)
		}
		if row.Token < 0 || int(row.Token) >= r.model.Vocabulary {
			return fmt.Errorf("model: token %d is not in the vocabulary of %d", row.Token, r.model.Vocabulary)
		}
		from, begun := r.before[s]
		if !begun {
			from = start{seen: s.Cache.Seen(), base: s.Cache.MostRows()}
			if s.landmarks != nil {
				from.base = s.base()
			}
			r.before[s] = from
			s.memories.each(memory.State.Hold)
			if s.Eviction != nil {
				s.Cache.HoldMarks()
			}
		}
		ropeAt := row.Position
		if s.packed() {
			ropeAt = int32(from.base + s.Cache.Seen() - from.seen)
		}
		if f := &r.model.Fifo; f.Chunk > 0 {
			if int(row.Position) != s.Cache.Seen() {
				return fmt.Errorf("model: position %d after %d rows: a memory of chunks needs all of them", row.Position, s.Cache.Seen())
			}
			if f.fuses() { // positions are those in the chunk
				ropeAt %= int32(f.Chunk)
			}
			r.piece(i)
		}
		if r.model.Neural.Variant == VariantMAC && int(row.Position) != s.Cache.Seen() {
			return fmt.Errorf("model: position %d after %d rows: a memory of segments needs all of them", row.Position, s.Cache.Seen())
		}
		if err := s.fits(ropeAt); err != nil {
			return err
		}
		position := [1]int32{row.Position}
		slot, err := s.Cache.Append(position[:])
		if err != nil {
			return err
		}
		r.slots, r.ropeAt = append(r.slots, int32(slot)), append(r.ropeAt, ropeAt)
	}
	r.sortChunkPieces()
	for s, from := range r.before {
		if s.landmarks != nil {
			s.landmarks.reach(s.slots().Slots(), s.rope)
		}
		if s.packed() {
			r.turn(s.rope, from.base+s.Cache.Seen()-from.seen+landmarkColumn)
		}
	}
	return nil
}

// rollBack takes the batch's rows out of their caches again.
func (r *Runner) rollBack() {
	for s, from := range r.before {
		if err := s.Cache.Truncate(from.seen); err != nil {
			panic(err) // rows that were appended a moment ago
		}
		s.memories.each(memory.State.Revert)
		if s.Eviction != nil {
			s.Cache.RestoreMarks()
		}
	}
	r.forget()
}

// forget drops the batch, which belongs to the caller.
func (r *Runner) forget() {
	r.batch = nil
	for i := range r.passes {
		p := &r.passes[i]
		p.opened.Forget()
		p.view, p.read = kvcache.View{}, attention.Reading{}
	}
	for i := range r.openings {
		r.openings[i].Forget()
	}
	clear(r.choosings)
	for s := range r.before {
		s.memories.each(memory.State.Release)
	}
	r.learning.forget()
	clear(r.before)
}

// Work runs one thread's share of the batch.
func (r *Runner) Work(w *kernels.Worker) {
	p := &r.passes[w.ID]
	p.begin(r, w)
	p.embed()
	layers := r.layers
	p.normalize(layers[0].entryNorm())
	for i := range layers {
		var next *layer
		if i+1 < len(layers) {
			next = &layers[i+1]
		}
		p.recall(&layers[i])
		r.model.arch.forward(p, &layers[i], next)
		if w.Stopped() {
			return
		}
	}
	p.project()
}

// fail records the first error that a thread meets. The others notice at the end of the layer's steps.
func (r *Runner) fail(err error) { r.failure.CompareAndSwap(nil, &err) }
