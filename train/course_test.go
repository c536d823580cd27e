package train

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/mneme-lm/mneme/train/tales"
)

func someCourse() Course {
	return Course{Texts: 4, Length: 64, Facts: 2, Dense: 0.5, Schedule: Schedule{Rate: 2e-3, Final: 0.05, Warmup: 5, Steps: 12}, Every: 6, Exam: 2, Seed: 3}
}

// The log has a line for each step, and the same seeds make the same but for the time.
func TestCourseIsLogged(t *testing.T) {
	c := computes(t)
	var losses [2][]string
	for i := range losses {
		m, err := NewModel(tiny(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		report, err := Train(t.Context(), c[len(c)-1], m, someCourse(), &log)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(&log).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != 13 || report.Steps != 12 || report.Tokens != 12*4*64 || !(report.TokensPerSecond > 0) {
			t.Fatalf("%d lines, %+v", len(lines), report)
		}
		for step, line := range lines[1:] {
			if line[0] != strconv.Itoa(step+1) || line[1] != strconv.Itoa((step+1)*4*64) || (line[6] != "") != ((step+1)%6 == 0) {
				t.Errorf("line %d is %v", step+1, line)
			}
			losses[i] = append(losses[i], line[2])
		}
		if last, err := strconv.ParseFloat(losses[i][11], 64); err != nil || math.Abs(last-float64(report.Loss)) > 1e-4 {
			t.Errorf("the last loss is %s, reported %v", losses[i][11], report.Loss)
		}
	}
	for step, loss := range losses[0] {
		if losses[1][step] != loss {
			t.Errorf("step %d has losses %s and %s", step+1, loss, losses[1][step])
		}
	}
}

func TestCourseIsStopped(t *testing.T) {
	c := computes(t)
	m, err := NewModel(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	course := someCourse()
	course.Schedule.Steps = 1 << 30
	if report, err := Train(ctx, c[len(c)-1], m, course, new(bytes.Buffer)); !errors.Is(err, context.DeadlineExceeded) || report.Steps == course.Schedule.Steps {
		t.Errorf("%+v, %v", report, err)
	}
	course.Facts = 20 // which do not fit into 64 tokens, mostly
	if _, err := Train(t.Context(), c[0], m, course, new(bytes.Buffer)); err == nil {
		t.Error("too many facts are no error")
	}
}

// An answer counts where all of its tokens are the likeliest: with weights that always say the same word, answers of that word.
func TestExactMatch(t *testing.T) {
	c := computes(t)[0]
	m, err := NewModel(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	word := tales.Encode("figs")[0]
	// a state of ones, whatever the tokens, and logits that are its product with rows
	for _, p := range m.Params {
		clear(p.Values)
	}
	for i := range m.byName["token_embd.weight"].Values {
		m.byName["token_embd.weight"].Values[i] = 1
	}
	for i := range m.Shape.Dim {
		m.byName["output_norm.weight"].Values[i] = 1
		m.byName["output.weight"].Values[word*m.Shape.Dim+i] = 1
	}
	e, err := NewExaminer(c, m, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	tokens := tales.Encode("figs nuts figs figs nuts figs figs .")
	right, asked, err := e.Exact([]tales.Document{{Tokens: tokens, Answers: []tales.Span{{From: 2, To: 4}, {From: 3, To: 5}, {From: 5, To: 6}, {From: 7, To: 8}}}})
	if err != nil || right != 2 || asked != 4 {
		t.Errorf("%d of %d are right (%v), want 2 of 4", right, asked, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
