package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mneme-lm/mneme/train/tales"
)

// Course is what a model is trained on for a while: texts of one length.
type Course struct {
	Texts, Length int     // of each step
	Facts         int     // the most in a story
	Dense         float64 // the share of texts that are lists
	Schedule      Schedule
	Every         int    // steps from one examination to the next; none if it is 0
	Exam          int    // batches of stories in an examination
	Seed          uint64 // of the texts; those of examinations are others, the same each time
}

// Report is what a course came to.
type Report struct {
	Steps, Tokens   int
	Loss            float32       // of the last step
	Exact           float64       // share of answers that were right in the last examination
	Time            time.Duration // of steps, without examinations
	TokensPerSecond float64
}

// Train trains a model, until ctx is done or the schedule's steps are. It writes a line of CSV for each step to log: the number
// of the step, the tokens read so far, the loss, the learning rate, the gradients' length, tokens per second of this step
// and, where there was an examination after it, the share of answers that were right.
func Train(ctx context.Context, c Compute, m *Model, course Course, log io.Writer) (report Report, err error) {
	trainer, err := NewTrainer(c, m, course.Texts, course.Length)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, trainer.Close()) }()
	examiner, err := NewExaminer(c, m, course.Texts, course.Length)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, examiner.Close()) }()
	if _, err := fmt.Fprintln(log, "step,tokens,loss,rate,norm,tokens_per_second,exact"); err != nil {
		return report, err
	}
	texts, optimizer := tales.New(course.Seed), NewAdamW()
	for step := range course.Schedule.Steps {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		rate, start := course.Schedule.At(step), time.Now()
		documents, err := course.batch(texts)
		if err != nil {
			return report, err
		}
		loss, norm, err := trainer.Step(optimizer, documents, rate)
		if err != nil {
			return report, fmt.Errorf("train: step %d: %w", step+1, err)
		}
		took := time.Since(start)
		tokens := course.Texts * course.Length
		report.Steps, report.Tokens, report.Loss, report.Time = step+1, report.Tokens+tokens, loss, report.Time+took
		report.TokensPerSecond = float64(report.Tokens) / report.Time.Seconds()
		exact := ""
		if course.Every > 0 && (step+1)%course.Every == 0 {
			if report.Exact, err = course.examine(examiner); err != nil {
				return report, err
			}
			exact = fmt.Sprintf("%.4f", report.Exact)
		}
		if _, err := fmt.Fprintf(log, "%d,%d,%.5f,%.3g,%.4f,%.0f,%s\n", step+1, report.Tokens, loss, rate, norm, float64(tokens)/took.Seconds(), exact); err != nil {
			return report, err
		}
	}
	return report, nil
}

// batch returns the documents of a step: the first ones are lists of either kind, as many as Dense says, the others stories.
func (c *Course) batch(g *tales.Generator) (all []tales.Document, err error) {
	lists := int(c.Dense*float64(c.Texts) + 0.5)
	for i := range c.Texts {
		var d tales.Document
		switch {
		case i >= lists:
			d, err = g.Story(c.Length, c.Facts)
		case i%2 == 0:
			d = g.Echo(c.Length)
		default:
			d = g.Pairs(c.Length)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// examine asks the questions of stories and returns the share of right answers.
func (c *Course) examine(e *Examiner) (float64, error) {
	g, stories := tales.New(^c.Seed), Course{Texts: c.Texts, Length: c.Length, Facts: c.Facts}
	right, asked := 0, 0
	for range max(c.Exam, 1) {
		documents, err := stories.batch(g)
		if err != nil {
			return 0, err
		}
		r, n, err := e.Exact(documents)
		if err != nil {
			return 0, err
		}
		right, asked = right+r, asked+n
	}
	return float64(right) / float64(max(asked, 1)), nil
}
