package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mneme-lm/mneme/internal/statefile"
)

// kept is what a checkpoint says beside weights.
type kept struct {
	Version int    `json:"version"`
	Recipe  string `json:"recipe"` // as its report's
	Print   string `json:"fingerprint"`
	Stage   int    `json:"stage"`
	Step    int    `json:"step"`
	Log     int64  `json:"log_bytes"`
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
	k := kept{Version: keptVersion, Recipe: r.recipe.Name, Stage: r.stage, Step: r.step, Report: r.report}
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

// resume takes the run to where a checkpoint is, if there is one, and returns the length that its log had.
func (r *run) resume() (log int64, err error) {
	if r.options.Checkpoint == "" {
		return 0, nil
	}
	f, err := statefile.Open(r.options.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if log, err = r.load(f); err != nil {
		return 0, fmt.Errorf("train: checkpoint %s: %w", r.options.Checkpoint, err)
	}
	return log, nil
}

func (r *run) load(f *statefile.File) (log int64, err error) {
	text, ok := f.Section(sectionRun)
	if !ok {
		return 0, errors.New("it is of something else")
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return 0, err
	}
	print, err := r.fingerprint()
	if err != nil {
		return 0, err
	}
	switch {
	case k.Version != keptVersion:
		return 0, fmt.Errorf("version %d, known is %d", k.Version, keptVersion)
	case k.Recipe != r.recipe.Name:
		return 0, fmt.Errorf("it is of recipe %q, not %q", k.Recipe, r.recipe.Name)
	case k.Print != print:
		return 0, fmt.Errorf("recipe %q, or its texts, were others then", k.Recipe)
	case k.Report.Seed != r.options.Seed:
		return 0, fmt.Errorf("it is of seed %d, not %d", k.Report.Seed, r.options.Seed)
	case k.Stage < 0, k.Stage > len(r.recipe.Stages), k.Step < 0, k.Log < 0, len(k.Updates) != len(r.model.Params), len(k.Report.Stages) < k.Stage, len(k.Report.Stages) > k.Stage+1:
		return 0, errors.New("what it says of itself does not fit together")
	}
	for i, p := range r.model.Params {
		m := r.optimizer.of(p)
		if m.steps = k.Updates[i]; m.steps < 0 {
			return 0, fmt.Errorf("%s was moved %d times", p.Name, m.steps)
		}
	}
	for _, section := range []struct {
		name string
		of   func(p *Param) []float32
	}{
		{sectionWeights, func(p *Param) []float32 { return p.Values }},
		{sectionMeans, func(p *Param) []float32 { return r.optimizer.of(p).mean }},
		{sectionMeans2, func(p *Param) []float32 { return r.optimizer.of(p).mean2 }},
	} {
		data, _ := f.Section(section.name)
		for _, p := range r.model.Params {
			n, err := binary.Decode(data, binary.LittleEndian, section.of(p))
			if err != nil {
				return 0, fmt.Errorf("%s are cut off at %s", section.name, p.Name)
			}
			data = data[n:]
		}
		if len(data) > 0 {
			return 0, fmt.Errorf("%d bytes more than %s", len(data), section.name)
		}
	}
	r.stage, r.step, r.report = k.Stage, k.Step, k.Report
	return k.Log, nil
}
