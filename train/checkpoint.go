package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/internal/statefile"
)

// kept is what a checkpoint says beside weights.
type kept struct {
	Version int    `json:"version"`
	Recipe  string `json:"recipe"` // as its report's
	Print   string `json:"fingerprint"`
	Stage   int    `json:"stage"`
	Step    int    `json:"step"`
	Kernels string `json:"kernels"` // others round otherwise
	Log     logged `json:"log"`
	Report  Report `json:"report"`
	Updates []int  `json:"updates"` // of each parameter
}

// keptVersion is raised when the meaning of a checkpoint changes.
const keptVersion = 1

// The sections of a checkpoint: its description, and for each parameter its values and the optimizer's means, float32 in the
// order of the model's parameters.
const (
	sectionRun     = "run"
	sectionWeights = "weights"
	sectionMeans   = "means"
	sectionMeans2  = "means of squares"
)

// fingerprint stands for all that decides about the result but the seed: the recipe, its shapes and its texts.
func (r *run) fingerprint() (string, error) {
	what := struct {
		Recipe Recipe
		Source string
		Shapes []Shape // the model's, and the stages'
	}{r.recipe, r.source.Print(), []Shape{r.model.Shape}}
	for i := range r.recipe.Stages {
		what.Shapes = append(what.Shapes, r.recipe.Stages[i].shape(r.model.Shape))
	}
	text, err := json.Marshal(what)
	if err != nil {
		return "", fmt.Errorf("train: recipe %q: %w", r.recipe.Name, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// save keeps the run, if it is to be kept.
func (r *run) save() (err error) {
	if r.options.Checkpoint == "" {
		return nil
	}
	k := kept{Version: keptVersion, Recipe: r.recipe.Name, Kernels: r.c.Impl.Name, Stage: r.stage, Step: r.step, Report: r.report}
	if k.Log, err = r.log.flush(); err != nil {
		return err
	}
	if k.Print, err = r.fingerprint(); err != nil {
		return err
	}
	lists := map[string][][]float32{}
	for _, p := range r.model.Params {
		m := r.optimizer.of(p)
		k.Updates = append(k.Updates, m.steps)
		lists[sectionWeights] = append(lists[sectionWeights], p.Values)
		lists[sectionMeans] = append(lists[sectionMeans], m.mean)
		lists[sectionMeans2] = append(lists[sectionMeans2], m.mean2)
	}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	w, err := statefile.Create(r.options.Checkpoint)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	if err := w.Section(sectionRun, 64); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, name := range []string{sectionWeights, sectionMeans, sectionMeans2} {
		if err := w.Section(name, 64); err != nil {
			return err
		}
		for _, list := range lists[name] {
			if err := binary.Write(w, binary.LittleEndian, list); err != nil {
				return err
			}
		}
	}
	return w.Commit()
}

// resume takes the run to where a checkpoint is, if there is one, and returns what its log had.
func (r *run) resume() (log logged, err error) {
	if r.options.Checkpoint == "" {
		return log, nil
	}
	f, err := statefile.Open(r.options.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return log, nil
	}
	if err != nil {
		return log, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if log, err = r.load(f); err != nil {
		return log, fmt.Errorf("train: checkpoint %s: %w", r.options.Checkpoint, err)
	}
	return log, nil
}

func (r *run) load(f *statefile.File) (log logged, err error) {
	text, ok := f.Section(sectionRun)
	if !ok {
		return log, errors.New("it is of something else")
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return log, err
	}
	if err := r.checkKept(&k); err != nil {
		return log, err
	}
	for i, p := range r.model.Params {
		m := r.optimizer.of(p)
		if m.steps = k.Updates[i]; m.steps < 0 || m.steps > k.Report.Steps {
			return log, fmt.Errorf("%s was moved %d times in %d steps", p.Name, m.steps, k.Report.Steps)
		}
	}
	for _, section := range []struct {
		name  string
		least float32
		of    func(p *Param) []float32
	}{
		{sectionWeights, -math.MaxFloat32, func(p *Param) []float32 { return p.Values }},
		{sectionMeans, -math.MaxFloat32, func(p *Param) []float32 { return r.optimizer.of(p).mean }},
		{sectionMeans2, 0, func(p *Param) []float32 { return r.optimizer.of(p).mean2 }},
	} {
		data, _ := f.Section(section.name)
		for _, p := range r.model.Params {
			values := section.of(p)
			n, err := binary.Decode(data, binary.LittleEndian, values)
			if err != nil {
				return log, fmt.Errorf("%s are cut off at %s", section.name, p.Name)
			}
			if i := slices.IndexFunc(values, func(x float32) bool { return !(x >= section.least && x <= math.MaxFloat32) }); i >= 0 {
				return log, fmt.Errorf("%s of %s: value %d is %v", section.name, p.Name, i, values[i])
			}
			data = data[n:]
		}
		if len(data) > 0 {
			return log, fmt.Errorf("%d bytes more than %s", len(data), section.name)
		}
	}
	r.stage, r.step, r.report = k.Stage, k.Step, k.Report
	return k.Log, nil
}

// checkKept holds what a checkpoint says against the run.
func (r *run) checkKept(k *kept) error {
	print, err := r.fingerprint()
	if err != nil {
		return err
	}
	switch {
	case k.Version != keptVersion:
		return fmt.Errorf("version %d, known is %d", k.Version, keptVersion)
	case k.Recipe != r.recipe.Name:
		return fmt.Errorf("it is of recipe %q, not %q", k.Recipe, r.recipe.Name)
	case k.Print != print:
		return fmt.Errorf("recipe %q, or its texts, were others then", k.Recipe)
	case k.Kernels != r.c.Impl.Name:
		return fmt.Errorf("it was computed with the kernels %s, which round otherwise than %s", k.Kernels, r.c.Impl.Name)
	case k.Report.Seed != r.options.Seed:
		return fmt.Errorf("it is of seed %d, not %d", k.Report.Seed, r.options.Seed)
	}
	stages, steps := k.Report.Stages, 0
	for i, s := range stages {
		if i >= len(r.recipe.Stages) || s.Steps < 0 || s.Steps > r.recipe.Stages[i].Steps {
			return errors.New("it has other stages, or more steps of one, than the recipe")
		}
		steps += s.Steps
	}
	begun := 0 // steps of the stage that is under way
	if k.Stage >= 0 && k.Stage < len(stages) {
		begun = stages[k.Stage].Steps
	}
	if k.Stage < 0 || len(stages) < k.Stage || len(stages) > k.Stage+1 || k.Step != begun || k.Report.Steps != steps || k.Log.Bytes < 0 || len(k.Updates) != len(r.model.Params) {
		return errors.New("what it says of itself does not fit together")
	}
	return nil
}
