package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/statefile"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/train/tales"
)

// short is a recipe of two stages for a tiny model.
func short() Recipe {
	first := Stage{Name: "lists", Texts: 4, Length: 48, Mix: Mix{Lists: 1, Least: 1, Facts: 1}, Steps: 7, Every: 3, Exam: 2}
	second := Stage{Name: "stories", Texts: 2, Length: 64, Accumulate: 2, Mix: Mix{Lists: 0.5, Least: 1, Facts: 2}, Steps: 5, Every: 2, Exam: 1, Cool: true}
	return Recipe{Name: "short", Shape: func(words int) Shape {
		s := tiny()
		s.Vocabulary = words
		return s
	}, Rate: 2e-3, Final: 0.1, Warmup: 4, Stages: []Stage{first, second}}
}

func mustRun(t *testing.T, c Compute, r Recipe, o Options) (*Model, Report) {
	t.Helper()
	m, report, err := Run(t.Context(), c, r, Stories{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return m, report
}

// readLog returns the lines of a log without their speeds, which no two runs share.
func readLog(t *testing.T, path string) [][]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines[1:] {
		if v, err := strconv.ParseFloat(l[6], 64); err != nil || !(v > 0) {
			t.Errorf("a speed of %q", l[6])
		}
		l[6] = ""
	}
	return lines
}

func sameModel(t *testing.T, got, want *Model) {
	t.Helper()
	for i, p := range want.Params {
		if !slices.Equal(got.Params[i].Values, p.Values) {
			t.Fatalf("%s has other values", p.Name)
		}
	}
}

// remembering is short, for a model that has a memory in the second stage alone.
func remembering(change func(s *Shape)) Recipe {
	r, plain := short(), func(s *Shape) { s.Sight, s.Fifo, s.Neural = Sight{}, nil, nil }
	of := r.Shape
	r.Stages = slices.Clone(r.Stages)
	r.Stages[0].Adapt = plain
	r.Shape = func(words int) Shape {
		s := of(words)
		change(&s)
		return s
	}
	return r
}

// A run that is stopped after any step, and gone on with, comes to the same model and log as one that is not.
func TestRunGoesOn(t *testing.T) {
	t.Run("attention", func(t *testing.T) { goesOn(t, short()) })
	t.Run("fifo", func(t *testing.T) {
		goesOn(t, remembering(func(s *Shape) {
			s.Fifo = &Fifo{Chunk: 16, Window: 4, Slots: 4, PerChunk: 2, Layers: []int{1}, Gate: fifo.GateSimple, Pooling: fifo.PoolMean}
		}))
	})
	t.Run("neural", func(t *testing.T) {
		goesOn(t, remembering(func(s *Shape) { s.Sight, s.Neural = Sight{Window: 8}, tinyNeural().Neural }))
	})
}

func goesOn(t *testing.T, r Recipe) {
	c, dir := computes(t), t.TempDir()
	best := c[len(c)-1]
	_, remembers := r.Shape(1).forgetful()
	log := filepath.Join(dir, "whole.csv")
	want, whole := mustRun(t, best, r, Options{Seed: 5, Log: log})
	lines := readLog(t, log)
	if len(lines) != 1+12 || whole.Steps != 12 || whole.Tokens != 7*4*48+5*2*2*64 || len(whole.Stages) != 2 {
		t.Fatalf("%d lines, %+v", len(lines), whole)
	}
	for i, l := range lines[1:] {
		if l[0] != strconv.Itoa(i+1) || l[1] != map[bool]string{true: "lists", false: "stories"}[i < 7] || (l[7] != "") != (l[8] != "") || (l[8] != "") != slices.Contains([]int{3, 6, 7, 9, 11, 12}, i+1) {
			t.Errorf("line %d is %v", i+1, l)
		}
		if (l[10] != "") != (remembers && i >= 7 && l[8] != "") {
			t.Errorf("line %d is %v: recall with the memory's reads zeroed", i+1, l)
		}
	}
	log = filepath.Join(dir, "parts.csv")
	o := Options{Seed: 5, Checkpoint: filepath.Join(dir, "checkpoint"), Log: log, Interval: 1}
	for _, stop := range []int{1, 6, 7, 8, 11} {
		ctx, cancel := context.WithCancel(t.Context())
		o.Progress = func(p Progress) {
			if p.Step == stop {
				cancel()
			}
		}
		if _, report, err := Run(ctx, best, r, Stories{}, o); !errors.Is(err, context.Canceled) || report.Steps != stop {
			t.Fatalf("stopped after step %d: %+v, %v", stop, report, err)
		}
		cancel()
		f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("what a run that was killed wrote after it was kept") // the error would show below
		f.Close()
	}
	o.Progress = nil
	for range 2 { // the second time there is nothing left to do
		got, parts := mustRun(t, best, r, o)
		sameModel(t, got, want)
		if again := readLog(t, log); !slices.EqualFunc(again, lines, slices.Equal[[]string]) {
			t.Errorf("the log is %v, want %v", again, lines)
		}
		if parts.Steps != whole.Steps || parts.Tokens != whole.Tokens || parts.Stages[1].Marks != whole.Stages[1].Marks || parts.Stages[0].Loss != whole.Stages[0].Loss {
			t.Errorf("%+v, want %+v", parts, whole)
		}
	}
}

// Another seed makes another model; another number of threads does not.
func TestRunDependsOnItsSeed(t *testing.T) {
	c := computes(t)
	best := c[len(c)-1]
	want, _ := mustRun(t, best, short(), Options{Seed: 5})
	team := kernels.NewTeam(1)
	defer team.Close()
	one, _ := mustRun(t, Compute{best.Impl, team}, short(), Options{Seed: 5})
	sameModel(t, one, want)
	other, _ := mustRun(t, best, short(), Options{Seed: 6})
	if slices.Equal(other.Params[2].Values, want.Params[2].Values) {
		t.Error("two seeds make the same model")
	}
}

// A checkpoint is taken by the run that it is of, and refused whole by others.
func TestCheckpointsAreRefused(t *testing.T) {
	c, dir := computes(t), t.TempDir()
	path, log := filepath.Join(dir, "checkpoint"), filepath.Join(dir, "log")
	mustRun(t, c[0], short(), Options{Seed: 5, Checkpoint: path, Log: log})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other log")
	if err := os.WriteFile(other, bytes.Repeat([]byte("other lines\n"), 1000), 0o666); err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*Recipe)) Recipe {
		r := short()
		r.Stages = slices.Clone(r.Stages)
		change(&r)
		return r
	}
	for want, attempt := range map[string]struct {
		recipe Recipe
		seed   uint64
		log    string
		data   []byte
	}{
		"of seed 5, not 6":        {short(), 6, log, whole},
		`not "long"`:              {changed(func(r *Recipe) { r.Name = "long" }), 5, log, whole},
		"were others then":        {changed(func(r *Recipe) { r.Stages[1].Steps++ }), 5, log, whole},
		"others then":             {changed(func(r *Recipe) { r.Shape = Small }), 5, log, whole},
		"another log":             {short(), 5, filepath.Join(dir, "another log"), whole},
		"not the one":             {short(), 5, other, whole},
		"there is none now":       {short(), 5, "", whole},
		"checkpoint":              {short(), 5, log, whole[:len(whole)/2]},
		filepath.Base(path) + ":": {short(), 5, log, []byte("noise")},
	} {
		if err := os.WriteFile(path, attempt.data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, _, err := Run(t.Context(), c[0], attempt.recipe, Stories{}, Options{Seed: attempt.seed, Checkpoint: path, Log: attempt.log})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q: %v", want, err)
		}
	}
	if left, err := os.ReadFile(other); err != nil || len(left) != 12000 {
		t.Errorf("another file has %d bytes now (%v)", len(left), err)
	}
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	if len(c) > 1 {
		_, _, err := Run(t.Context(), c[len(c)-1], short(), Stories{}, Options{Seed: 5, Checkpoint: path, Log: log})
		if err == nil || !strings.Contains(err.Error(), "which round otherwise") {
			t.Errorf("with other kernels: %v", err)
		}
	}
}

// What a checkpoint says is not believed: these are whole files that no run has written.
func TestHostileCheckpoints(t *testing.T) {
	c, dir := computes(t), t.TempDir()
	path := filepath.Join(dir, "checkpoint")
	o := Options{Seed: 5, Checkpoint: path}
	mustRun(t, c[0], short(), o)
	f, err := statefile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string][]byte{}
	for _, s := range f.Sections() {
		data, _ := f.Section(s.Name)
		sections[s.Name] = bytes.Clone(data)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	say := func(change func(k *kept)) map[string][]byte {
		var k kept
		if err := json.Unmarshal(sections[sectionRun], &k); err != nil {
			t.Fatal(err)
		}
		change(&k)
		text, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{sectionRun: text}
	}
	number := func(section string, value float32) map[string][]byte {
		data := bytes.Clone(sections[section])
		binary.LittleEndian.PutUint32(data[400:], math.Float32bits(value))
		return map[string][]byte{section: data}
	}
	for name, change := range map[string]map[string][]byte{
		"no steps":           say(func(k *kept) { k.Report.Steps = -5 }),
		"too many steps":     say(func(k *kept) { k.Step, k.Report.Stages[1].Steps = 1<<40, 1<<40 }),
		"a stage beyond":     say(func(k *kept) { k.Stage = 9 }),
		"a stage before":     say(func(k *kept) { k.Stage = -1 }),
		"steps of no stage":  say(func(k *kept) { k.Step = 3 }),
		"no updates":         say(func(k *kept) { k.Updates = nil }),
		"updates":            say(func(k *kept) { k.Updates[0] = -1 }),
		"a version":          say(func(k *kept) { k.Version++ }),
		"no JSON":            {sectionRun: []byte("{")},
		"cut off":            {sectionMeans: sections[sectionMeans][:80]},
		"too much":           {sectionMeans: append(bytes.Clone(sections[sectionMeans]), 0, 0, 0, 0)},
		"NaN":                number(sectionWeights, float32(math.NaN())),
		"infinite":           number(sectionMeans, float32(math.Inf(1))),
		"a negative square":  number(sectionMeans2, -1),
		"a run without name": {sectionRun: []byte("{}")},
	} {
		w, err := statefile.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range []string{sectionRun, sectionWeights, sectionMeans, sectionMeans2} {
			data, changed := change[section]
			if !changed {
				data = sections[section]
			}
			if err := w.Section(section, 64); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Run(t.Context(), c[0], short(), Stories{}, o); err == nil || !strings.Contains(err.Error(), "checkpoint") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A stage ends when enough is known, and says so; one that never gets there says that.
func TestStagesEnd(t *testing.T) {
	c := computes(t)
	r := short()
	r.Stages = slices.Clone(r.Stages)
	r.Stages[0].Until = 1e-9 // one right answer
	r.Stages[0].Steps, r.Stages[0].Every, r.Stages[0].Exam = 300, 15, 20
	r.Stages[1].Until, r.Stages[1].Cool = 1, false
	_, report := mustRun(t, c[len(c)-1], r, Options{Seed: 5})
	first, second := report.Stages[0], report.Stages[1]
	if !first.Reached || !(first.Marks.Recall() > 0) || first.Steps >= 300 || first.Steps%15 != 0 {
		t.Errorf("the first stage: %+v", first)
	}
	if second.Reached || second.Marks.Recall() == 1 || second.Steps != 5 || second.Marks.Asked == 0 {
		t.Errorf("the second stage: %+v", second)
	}
}

func TestRates(t *testing.T) {
	r := Recipe{Rate: 2e-3, Final: 0.05, Warmup: 50}
	level, falling := Stage{Steps: 300}, Stage{Steps: 100, Cool: true}
	for _, c := range []struct {
		stage       *Stage
		step, taken int
		want        float64
	}{
		{&level, 0, 0, 4e-5}, {&level, 24, 24, 1e-3}, {&level, 49, 49, 2e-3}, {&level, 299, 299, 2e-3}, {&level, 0, 500, 2e-3},
		{&falling, 49, 500, 2e-3 * 0.525}, {&falling, 99, 500, 1e-4}, {&falling, 49, 24, 1e-3 * 0.525},
	} {
		if got := r.rate(c.stage, c.step, c.taken); got < c.want*(1-1e-9) || got > c.want*(1+1e-9) {
			t.Errorf("step %d of the stage, %d of the run: rate %v, want %v", c.step, c.taken, got, c.want)
		}
	}
}

func TestRecipesAreRefused(t *testing.T) {
	c := computes(t)[0]
	for name, change := range map[string]func(*Recipe){
		"no shape":       func(r *Recipe) { r.Shape = nil },
		"no stages":      func(r *Recipe) { r.Stages = nil },
		"no texts":       func(r *Recipe) { r.Stages[0].Texts = 0 },
		"no tokens":      func(r *Recipe) { r.Stages[0].Length = 1 },
		"a share of 2":   func(r *Recipe) { r.Stages[0].Mix.Lists = 2 },
		"long texts":     func(r *Recipe) { r.Stages[0].Length = math.MaxInt },
		"many texts":     func(r *Recipe) { r.Stages[0].Texts = math.MaxInt },
		"no examination": func(r *Recipe) { r.Stages[0].Until, r.Stages[0].Exam = 0.5, 0 },
		"cools":          func(r *Recipe) { r.Stages[1].Until = 0.5 },
		"too many facts": func(r *Recipe) { r.Stages[1].Mix.Facts = 30 },
	} {
		r := short()
		r.Stages = slices.Clone(r.Stages)
		change(&r)
		if _, _, err := Run(t.Context(), c, r, Stories{}, Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := LookupRecipe("nothing"); err == nil || !strings.Contains(err.Error(), "titans") {
		t.Error(err)
	}
	for _, r := range Recipes() {
		if found, err := LookupRecipe(r.Name); err != nil || found.Name != r.Name || r.check() != nil || r.Context() < 64 {
			t.Errorf("%s: %v, %v", r.Name, err, r.check())
		}
	}
}

// Gradients of several batches are those of all their texts at once, where these weigh the same.
func TestBatchesAreAddedUp(t *testing.T) {
	c := computes(t)
	best := c[len(c)-1]
	g := tales.New(rand.New(rand.NewPCG(3, 3)))
	var documents []tales.Document
	for range 4 {
		d := g.Echo(40, false)
		d.Answers = nil // all tokens weigh the same
		documents = append(documents, d)
	}
	models := [2]*Model{}
	for i := range models {
		m, err := NewModel(tiny(), 1)
		if err != nil {
			t.Fatal(err)
		}
		models[i] = m
		trainer, err := NewTrainer(best, m, 4/(1+i), 40)
		if err != nil {
			t.Fatal(err)
		}
		batches := [][][]tales.Document{{documents}, {documents[:2], documents[2:]}}[i]
		o := NewAdamW()
		for range 3 {
			if _, _, err := trainer.Step(o, 1e-3, batches...); err != nil {
				t.Fatal(err)
			}
		}
		if err := trainer.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, p := range models[0].Params {
		for j, v := range p.Values {
			if d := models[1].Params[i].Values[j] - v; d > 2e-4 || d < -2e-4 {
				t.Fatalf("%s, value %d: %v by halves, %v at once", p.Name, j, models[1].Params[i].Values[j], v)
			}
		}
	}
}
