package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/train/tales"
)

// Recipe is how a model is made: its shape, and the stages that train it, one after the other.
type Recipe struct {
	Name  string
	About string                     // what is made, in a sentence
	Shape func(vocabulary int) Shape `json:"-"`

	Rate   float64 // learning rate
	Final  float64 // what is left of it, as a share, at the end of a stage that cools
	Warmup int     // steps over which it rises from 0
	Stages []Stage
}

// Stage is training with texts of one kind.
type Stage struct {
	Name       string
	Texts      int // in each batch
	Length     int // tokens of each
	Accumulate int // batches whose gradients make one step; 0 means 1
	Mix        Mix
	Adapt      func(s *Shape) `json:"-"` // what the stage's graphs have in place of the recipe's shape, with the same parameters or fewer; nil: nothing
	Steps      int            // the most
	Until      float64        // share of answers that are right at which the stage ends, if that comes first; 0: never
	Cool       bool           // the learning rate falls in a line from beginning to end

	Every int // steps from one examination to the next; 0: there are none
	Exam  int // batches of an examination
}

// Mix says what texts a batch has.
type Mix struct {
	Lists float64 // share of lists that are said again, …
	Far   bool    // … which are so long that what is said again is far back
	Talks float64 // share of conversations, the rest being stories
	Least int     // facts in a story, …
	Facts int     // … and the most, and in a conversation about each topic
}

// rate is the learning rate of a step of the stage, which is step number taken of the run; both count from 0.
func (r *Recipe) rate(s *Stage, step, taken int) float64 {
	rate := r.Rate * min(1, float64(taken+1)/float64(max(r.Warmup, 1)))
	if s.Cool {
		done := float64(step+1) / float64(s.Steps)
		rate *= 1 - (1-r.Final)*done
	}
	return rate
}

// shape is what the graphs of a stage compute, of a model of the recipe.
func (s *Stage) shape(of Shape) Shape {
	if s.Adapt != nil {
		s.Adapt(&of)
	}
	return of
}

func (r *Recipe) check() error {
	if r.Shape == nil || len(r.Stages) == 0 {
		return fmt.Errorf("train: recipe %q has no shape or no stages", r.Name)
	}
	for _, s := range r.Stages {
		switch {
		case s.Length > mostTokens || s.Texts > mostTokens/max(s.Length, 1):
			return fmt.Errorf("train: stage %q: %d texts of %d tokens in a batch, which can have %d tokens", s.Name, s.Texts, s.Length, mostTokens)
		case s.Texts < 1, s.Length < 2, s.Steps < 1, s.Accumulate < 0, s.Every < 0, s.Exam < 0:
			return fmt.Errorf("train: stage %q: %d steps of %d texts of %d tokens, %d batches a step, an examination of %d batches every %d steps",
				s.Name, s.Steps, s.Texts, s.Length, s.Accumulate, s.Exam, s.Every)
		case !(s.Mix.Lists >= 0 && s.Mix.Talks >= 0 && s.Mix.Lists+s.Mix.Talks <= 1), !(s.Until >= 0 && s.Until <= 1):
			return fmt.Errorf("train: stage %q: a share of %v lists and %v talks, until %v are right: want shares from 0 to 1", s.Name, s.Mix.Lists, s.Mix.Talks, s.Until)
		case s.Until > 0 && (s.Every == 0 || s.Exam == 0 || s.Cool):
			return fmt.Errorf("train: stage %q is to end when %v of the answers are right, and has no examinations, or cools over all its steps", s.Name, s.Until)
		}
	}
	return nil
}

// Context is the number of tokens of the longest texts.
func (r *Recipe) Context() (n int) {
	for _, s := range r.Stages {
		n = max(n, s.Length)
	}
	return n
}

// mostTokens is the most in a batch: more than fit into any memory.
const mostTokens = 1 << 24

// steps is the most that there can be.
func (r *Recipe) steps() (n int) {
	for _, s := range r.Stages {
		n += s.Steps
	}
	return n
}

// Recipes are those for models of the small language, by name.
func Recipes() []Recipe { return slices.Clone(recipes) }

// LookupRecipe finds a recipe by its name.
func LookupRecipe(name string) (Recipe, error) {
	for _, r := range recipes {
		if r.Name == name {
			return r, nil
		}
	}
	var names []string
	for _, r := range recipes {
		names = append(names, r.Name)
	}
	return Recipe{}, fmt.Errorf("train: there is no recipe %q (there is: %s)", name, strings.Join(names, ", "))
}

// enough is the share of right answers at which stages end.
const enough = 0.93

// batch is the number of tokens in one.
const batch = 2048

// stories is a stage of texts of a length, most of them stories.
func stories(length, least, most, steps int) Stage {
	return Stage{
		Name: fmt.Sprintf("stories of %d", length), Texts: batch / length, Length: length, Mix: Mix{Lists: 0.25, Least: least, Facts: most},
		Steps: steps, Until: enough, Every: 50, Exam: 8,
	}
}

// lists is made of lists alone: it is where looking back for what stood by the same word is learned.
func lists(length int) Stage {
	s := stories(length, 1, 1, 2000)
	s.Name, s.Mix.Lists, s.Until = fmt.Sprintf("lists of %d", length), 1, 0.85
	return s
}

// cool is a stage with a learning rate that falls.
func cool(s Stage) Stage {
	s.Name, s.Until, s.Cool = s.Name+", cooling", 0, true
	return s
}

// talks is a stage of which some texts are conversations. Examinations are of few, long texts: there are more of them.
func talks(s Stage) Stage {
	s.Mix.Talks, s.Mix.Lists, s.Every, s.Exam = 0.2, 0.1, 100, 16
	return s
}

// with has stages adapt the shape, and says how.
func with(how string, adapt func(s *Shape), stages ...Stage) []Stage {
	for i := range stages {
		stages[i].Name, stages[i].Adapt = stages[i].Name+", "+how, adapt
	}
	return stages
}

// far has the lists of a stage begin far back.
func far(s Stage) Stage {
	s.Name, s.Mix.Far, s.Until = s.Name+", far back", true, 0.8
	return s
}

// whole is attention to all of the text, without a memory.
func whole(s *Shape) { s.Sight, s.Landmark, s.Neural, s.Fifo = Sight{}, Landmark{}, nil, nil }

// attending is what models with a memory learn first: full attention without the memory.
func attending() []Stage {
	return with("full attention", whole, lists(64), stories(64, 2, 2, 3000), stories(128, 2, 4, 1000))
}

// reading is what models with full attention learn.
func reading() []Stage {
	return []Stage{
		lists(64), stories(64, 2, 2, 3000), stories(128, 2, 4, 3000), stories(256, 2, 8, 1500), stories(512, 3, 16, 1500), talks(cool(stories(1024, 4, 24, 5000))),
	}
}

func small(change func(s *Shape)) func(int) Shape {
	return func(vocabulary int) Shape {
		s := Small(vocabulary)
		change(&s)
		return s
	}
}

func windows(n int) func(s *Shape) { return func(s *Shape) { s.Sight = Sight{Window: n} } }

// all is what the recipes have in common.
var all = Recipe{Rate: 2e-3, Final: 0.05, Warmup: 50}

// recipe is one of a name.
func recipe(name, about string, shape func(int) Shape, stages ...[]Stage) Recipe {
	r := all
	r.Name, r.About, r.Shape, r.Stages = name, about, shape, slices.Concat(stages...)
	return r
}

var recipes = []Recipe{
	recipe("base", "full attention", Small, reading()),
	// Where to look is learned first, and then by which landmarks to find it.
	recipe("landmark", "attention to blocks of 16 tokens that their landmarks find",
		small(func(s *Shape) { s.Landmark = Landmark{Block: 16, Token: tales.Landmark} }),
		with("full attention", whole, reading()...), []Stage{lists(64), stories(256, 2, 8, 600), cool(stories(512, 3, 16, 2500))}),
	recipe("fifo", "attention to chunks of 64 tokens, and a gated first-in-first-out memory of those before",
		small(func(s *Shape) { s.Fifo = NewFifo(2, 3) }),
		attending(), []Stage{far(lists(128)), stories(128, 2, 4, 2000), stories(256, 2, 8, 1500), cool(stories(512, 3, 16, 1500))}),
	// A small window first: with a large one the memory is never used.
	recipe("titans", "attention to the last 64 tokens, and a neural memory that learns while it reads",
		small(func(s *Shape) { s.Sight, s.Neural = Sight{Window: 64}, SmallNeural() }),
		attending(), with("windows of 16", windows(16), far(lists(64)), far(lists(128)), stories(128, 2, 4, 1500), stories(256, 2, 8, 1500)),
		[]Stage{stories(256, 2, 8, 1000), stories(512, 3, 16, 1500), cool(stories(1024, 4, 24, 2500))}),
}
