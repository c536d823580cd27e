package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mneme-lm/mneme/train/tales"
)

// Options are what a run of a recipe has beside it.
type Options struct {
	Seed uint64 // of the first weights and of all texts
	// Checkpoint is a file that the run is kept in, and gone on from if it is there: then the result is the same as if it had
	// never stopped. Empty: none.
	Checkpoint string
	// Interval is the time from one checkpoint to the next; there is one at the end of every stage and when ctx ends, too.
	Interval time.Duration
	// Log is a file of comma-separated values that has a line for each step. Empty: none.
	Log string
	// Progress, if it is set, is called after each step.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Stage           string
	StageNumber     int // from 0
	Step, Steps     int // of the run, and the most that it can have
	Tokens          int64
	Loss            float32
	TokensPerSecond float64 // since the run began or went on, without examinations
	Marks, Zeroed   Marks   // of the stage's last examination, and with zeros for what is read of a memory; none before the first
}

// Report is what a run came to.
type Report struct {
	Recipe  string
	Seed    uint64
	Steps   int
	Tokens  int64
	Seconds float64 // of steps, without examinations
	Stages  []StageReport
}

// StageReport is what a stage came to.
type StageReport struct {
	Name    string
	Steps   int
	Tokens  int64
	Seconds float64 // of steps, without examinations
	Loss    float32 // of the last step
	Marks   Marks   // of the last examination
	Zeroed  Marks   // of the same with zeros for all that is read of the memory; none where there is no memory
	Reached bool    // the share that ends the stage; where it has none, that its steps were all taken
}

// TokensPerSecond is the speed of training, without examinations.
func (r *Report) TokensPerSecond() float64 { return float64(r.Tokens) / max(r.Seconds, 1e-9) }

// run is a recipe that is being followed.
type run struct {
	c       Compute
	recipe  Recipe
	source  Source
	options Options

	model     *Model
	optimizer *AdamW
	report    Report
	stage     int // the one that is next, or under way, …
	step      int // … of which so many steps are taken
	log       *lossLog
	tokens    int64 // since the run began or went on, for its speed
	seconds   float64
}

// Run trains a model by a recipe, until that ends or, between two steps, ctx does. Neither the number of threads nor where it was
// stopped and gone on changes a bit of the model. As long as it runs, Gorgonia's own products, in the whole program, are c's
// ([UseKernels]): there should be one Run at a time.
func Run(ctx context.Context, c Compute, recipe Recipe, source Source, options Options) (m *Model, report Report, err error) {
	if err := recipe.check(); err != nil {
		return nil, report, err
	}
	defer UseKernels(c)()
	r := &run{c: c, recipe: recipe, source: source, options: options, optimizer: NewAdamW()}
	r.report.Recipe, r.report.Seed = recipe.Name, options.Seed
	if r.model, err = NewModel(recipe.Shape(source.Words()), options.Seed); err != nil {
		return nil, report, err
	}
	if err := r.tryTexts(); err != nil {
		return nil, report, err
	}
	logged, err := r.resume()
	if err != nil {
		return nil, report, err
	}
	if r.log, err = openLog(options.Log, logged, r.report.Steps > 0); err != nil {
		return nil, report, err
	}
	defer func() { err = errors.Join(err, r.log.close()) }()
	for r.stage < len(recipe.Stages) {
		if err := r.follow(ctx); err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) { // which is seen between steps
				err = errors.Join(err, r.save())
			}
			return r.model, r.report, err
		}
		r.stage, r.step = r.stage+1, 0
		if err := r.save(); err != nil {
			return r.model, r.report, err
		}
	}
	return r.model, r.report, nil
}

// tryTexts has texts made for all stages: what is wrong with them is found out before the work.
func (r *run) tryTexts() error {
	for i := range r.recipe.Stages {
		s := &r.recipe.Stages[i]
		if _, err := r.source.Batch(r.random(streamTexts, 0), s); err != nil {
			return fmt.Errorf("train: stage %q: %w", s.Name, err)
		}
		if s.Every == 0 || s.Exam == 0 {
			continue
		}
		documents, err := r.source.Exam(r.random(streamExam, 0), s)
		if err != nil {
			return fmt.Errorf("train: examinations of stage %q: %w", s.Name, err)
		}
		questions := 0
		for _, d := range documents {
			questions += len(d.Answers)
		}
		if s.Until > 0 && questions == 0 {
			return fmt.Errorf("train: stage %q is to end by answers, and its texts have no questions", s.Name)
		}
	}
	return nil
}

// follow goes on with the stage until it ends.
func (r *run) follow(ctx context.Context) (err error) {
	s := &r.recipe.Stages[r.stage]
	shape := s.shape(r.model.Shape)
	trainer, err := NewTrainer(r.c, r.model.as(shape), s.Texts, s.Length)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trainer.Close()) }()
	exams, err := r.newExams(s, shape)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, exams.close()) }()
	if len(r.report.Stages) == r.stage {
		r.report.Stages = append(r.report.Stages, StageReport{Name: s.Name})
	}
	saved := time.Now()
	for r.step < s.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		number := r.step + 1
		ended, err := r.take(trainer, exams, s)
		if err != nil {
			return fmt.Errorf("train: stage %q, step %d: %w", s.Name, number, err)
		}
		if ended {
			return nil
		}
		if r.options.Interval > 0 && time.Since(saved) >= r.options.Interval {
			if err := r.save(); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	r.current().Reached = s.Until == 0
	return nil
}

func (r *run) current() *StageReport { return &r.report.Stages[r.stage] }

// The texts of a step and those of an examination are drawn by generators of their own.
const (
	streamTexts = iota + 0x7e57
	streamExam
)

// random is the generator of a step's texts: it depends on nothing but the seed and where the step is in the recipe.
func (r *run) random(stream uint64, step int) *rand.Rand {
	return rand.New(rand.NewPCG(r.options.Seed, stream<<48|uint64(r.stage)<<32|uint64(step)))
}

// take takes a step, and examines the model if it is time to. It reports whether the stage has reached what ends it.
func (r *run) take(t *Trainer, e *exams, s *Stage) (ended bool, err error) {
	rate := r.recipe.rate(s, r.step, r.report.Steps)
	texts, start := r.random(streamTexts, r.step), time.Now()
	batches := make([][]tales.Document, max(s.Accumulate, 1))
	for i := range batches {
		if batches[i], err = r.source.Batch(texts, s); err != nil {
			return false, err
		}
	}
	loss, norm, err := t.Step(r.optimizer, rate, batches...)
	if err != nil {
		return false, err
	}
	took := time.Since(start).Seconds()
	tokens := int64(len(batches) * s.Texts * s.Length)
	r.step++
	r.tokens, r.seconds = r.tokens+tokens, r.seconds+took
	all, own := &r.report, r.current()
	all.Steps, all.Tokens, all.Seconds = all.Steps+1, all.Tokens+tokens, all.Seconds+took
	own.Steps, own.Tokens, own.Seconds, own.Loss = own.Steps+1, own.Tokens+tokens, own.Seconds+took, loss
	examined := e != nil && (r.step%s.Every == 0 || r.step == s.Steps)
	if examined {
		if err := r.mark(e, s, own); err != nil {
			return false, err
		}
		ended = s.Until > 0 && own.Marks.Recall() >= s.Until
		own.Reached = ended
	}
	if err := r.log.write(entry{
		stage: s.Name, step: all.Steps, tokens: all.Tokens, loss: loss, rate: rate, norm: norm, speed: float64(tokens) / max(took, 1e-9),
		marks: own.Marks, zeroed: own.Zeroed, examined: examined,
	}); err != nil {
		return false, err
	}
	if r.options.Progress != nil {
		r.options.Progress(Progress{
			Stage: s.Name, StageNumber: r.stage, Step: all.Steps, Steps: r.recipe.steps(), Tokens: all.Tokens, Loss: loss,
			TokensPerSecond: float64(r.tokens) / max(r.seconds, 1e-9), Marks: own.Marks, Zeroed: own.Zeroed,
		})
	}
	return ended, nil
}

// mark examines the model.
func (r *run) mark(e *exams, s *Stage, own *StageReport) (err error) {
	if own.Marks, err = r.examine(e.with, s); err != nil {
		return err
	}
	if e.without == nil {
		return nil
	}
	own.Zeroed, err = r.examine(e.without, s)
	return err
}

// exams are of a stage's model, with its memory and, if it has one, without. Nil: the stage has none.
type exams struct{ with, without *Examiner }

func (r *run) newExams(s *Stage, shape Shape) (e *exams, err error) {
	if s.Every == 0 || s.Exam == 0 {
		return nil, nil
	}
	e = &exams{}
	if e.with, err = NewExaminer(r.c, r.model.as(shape), s.Texts, s.Length); err != nil {
		return nil, err
	}
	if without, remembers := shape.forgetful(); remembers {
		if e.without, err = NewExaminer(r.c, r.model.as(without), s.Texts, s.Length); err != nil {
			return nil, errors.Join(err, e.with.Close())
		}
	}
	return e, nil
}

func (e *exams) close() error {
	if e == nil {
		return nil
	}
	if e.without == nil {
		return e.with.Close()
	}
	return errors.Join(e.with.Close(), e.without.Close())
}

// examine has texts read, the same ones in each examination of a stage.
func (r *run) examine(e *Examiner, s *Stage) (marks Marks, err error) {
	texts := r.random(streamExam, 0)
	for range s.Exam {
		documents, err := r.source.Exam(texts, s)
		if err != nil {
			return marks, err
		}
		some, err := e.Examine(documents)
		if err != nil {
			return marks, err
		}
		marks.add(some)
	}
	return marks, nil
}
