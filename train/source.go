package train

import (
	"math/rand/v2"

	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/convert"
)

// Source is where texts come from.
type Source interface {
	// Words is the number of tokens that texts are made of.
	Words() int
	// Batch makes the texts of a batch.
	Batch(r *rand.Rand, s *Stage) ([]tales.Document, error)
	// Exam makes texts of the kind that the stage teaches, to see how they are read, and how many of their questions are
	// answered, if they have any.
	Exam(r *rand.Rand, s *Stage) ([]tales.Document, error)
	// Print stands for the texts: what has another one makes other models.
	Print() string
	// Describe writes the vocabulary into a model's metadata.
	Describe(md *weights.Metadata) error
}

// Stories are texts of the small language.
type Stories struct{}

// Words is the size of the language's vocabulary.
func (Stories) Words() int { return len(tales.Words()) }

// Print is that of the words and of how texts are made of them.
func (Stories) Print() string { return tales.Print() }

// Batch returns texts of each kind in the stage's shares.
func (Stories) Batch(r *rand.Rand, s *Stage) ([]tales.Document, error) {
	return mixed(r, s.Texts, s.Length, s.Mix)
}

// Exam returns stories, or lists, where the stage has nothing else.
func (Stories) Exam(r *rand.Rand, s *Stage) ([]tales.Document, error) {
	mix := s.Mix
	if mix.Lists < 1 {
		mix.Lists, mix.Talks = 0, 0
	}
	return mixed(r, s.Texts, s.Length, mix)
}

func mixed(r *rand.Rand, texts, length int, mix Mix) (all []tales.Document, err error) {
	g := tales.New(r)
	for range texts {
		var d tales.Document
		switch kind := r.Float64(); {
		case kind < mix.Lists/2:
			d = g.Echo(length, mix.Far)
		case kind < mix.Lists:
			d = g.Pairs(length, mix.Far)
		case kind < mix.Lists+mix.Talks:
			d, err = g.Conversation(length, mix.Facts)
		default:
			d, err = g.Story(length, mix.Least, mix.Facts)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// Describe writes the words as those of a vocabulary of words.
func (Stories) Describe(md *weights.Metadata) error {
	return convert.SetWords(md, tales.Words(), convert.WordRoles{Padding: tales.Pad, Begin: tales.Begin, Landmark: tales.Landmark, Unknown: tales.Unknown, End: tales.End})
}
