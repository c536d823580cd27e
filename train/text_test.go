package train

import (
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights/quant"
)

// rhyme goes on for a while, and counts where it is.
func rhyme() string {
	var b strings.Builder
	for i := range 400 {
		b.WriteString("one two buckle my shoe, three four knock at the door; ")
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteString("\n")
	}
	return b.String()
}

func newText(t *testing.T, text string, words int) *Text {
	t.Helper()
	source, err := NewText(t.Context(), text, words)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// Pieces are of the text, those of examinations from its end, which batches leave out.
func TestPiecesOfAText(t *testing.T) {
	source, s := newText(t, rhyme(), 300), Stage{Texts: 50, Length: 20}
	if n := source.Tokens() - len(source.read); n != source.Tokens()/heldOut || source.Words() > 300 || source.Words() < 260 {
		t.Errorf("%d of %d tokens are held out, of %d words", n, source.Tokens(), source.Words())
	}
	for name, of := range map[string][]int{"batch": source.read, "exam": source.held} {
		draw := map[string]func(*rand.Rand) (any, error){
			"batch": func(r *rand.Rand) (any, error) { return source.Batch(r, &s) },
			"exam":  func(r *rand.Rand) (any, error) { return source.Exam(r, &s) },
		}[name]
		first, err := draw(seeded(1))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := draw(seeded(1)); err != nil || !reflect.DeepEqual(first, again) {
			t.Errorf("%s: the same generator draws others: %v", name, err)
		}
		documents, err := source.pieces(of, seeded(1), &s)
		if err != nil || !reflect.DeepEqual(first, any(documents)) || len(documents) != 50 {
			t.Fatalf("%s: %d documents, %v", name, len(documents), err)
		}
		for _, d := range documents {
			found := false
			for at := 0; at+19 <= len(of) && !found; at++ {
				found = slices.Equal(of[at:at+19], d.Tokens[1:])
			}
			if len(d.Tokens) != 20 || d.Tokens[0] != source.begin[0] || !found {
				t.Fatalf("%s: %v is no piece", name, d.Tokens)
			}
		}
	}
	if newText(t, rhyme(), 299).Print() == source.Print() || newText(t, rhyme()+"x", 300).Print() == source.Print() {
		t.Error("other texts have the same print")
	}
	if _, err := source.Exam(seeded(1), &Stage{Texts: 1, Length: 100000}); err == nil {
		t.Error("a piece longer than the text")
	}
	if _, err := NewText(t.Context(), rhyme(), 200); err == nil {
		t.Error("fewer words than bytes")
	}
	if s, err := NewText(t.Context(), "", 300); err == nil {
		if _, err := s.Batch(seeded(1), &Stage{Texts: 1, Length: 2}); err == nil {
			t.Error("pieces of an empty text")
		}
	}
}

// A model learns a text, what is held out of it, too, and its file reads it with the same words.
func TestTrainingOnAText(t *testing.T) {
	c := computes(t)
	source := newText(t, rhyme(), 300)
	r, err := short().OnText(32, 60)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Stages {
		r.Stages[i].Texts, r.Stages[i].Every, r.Stages[i].Exam = 4, 10, 2
	}
	m, report, err := Run(t.Context(), c[len(c)-1], r, source, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if marks := report.Stages[1].Marks; report.Steps != 60 || marks.Asked != 0 || marks.Loss > 4 || !report.Stages[1].Reached {
		t.Errorf("%+v", report)
	}
	path := filepath.Join(t.TempDir(), "model")
	if err := m.Write(path, Export{Name: "rhyme", Type: quant.F16, Context: r.Context(), Source: source}); err != nil {
		t.Fatal(err)
	}
	written, err := mneme.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer written.Close()
	ids := written.Tokenizer().Encode(rhyme(), tokenizer.EncodeOptions{ParseSpecial: true})
	for i, id := range slices.Concat(source.read, source.held) {
		if int(ids[i]) != id {
			t.Fatalf("token %d is read as %d, and was trained with as %d", i, ids[i], id)
		}
	}
	r.Stages[0].Until = 0.5
	if _, _, err := Run(t.Context(), c[0], r, source, Options{Seed: 1}); err == nil || !strings.Contains(err.Error(), "no questions") {
		t.Errorf("a stage that ends by answers there are none of: %v", err)
	}
}

func TestRecipesOnTexts(t *testing.T) {
	for steps, stages := range map[int]int{1: 1, 2: 1, 3: 2, 100: 2} {
		r, err := short().OnText(16, steps)
		if err != nil || len(r.Stages) != stages || r.steps() != steps {
			t.Errorf("%d steps: %d in %d stages, %v", steps, r.steps(), len(r.Stages), err)
		}
	}
	landmarks, err := LookupRecipe("landmark")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := landmarks.OnText(16, 10); err == nil {
		t.Error("landmarks in a text that has no token for them")
	}
	// what is held out is too short for its examinations
	r, err := short().OnText(200, 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Run(t.Context(), computes(t)[0], r, newText(t, rhyme()[:3000], 300), Options{}); err == nil || !strings.Contains(err.Error(), "held out") {
		t.Errorf("got %v", err)
	}
}
