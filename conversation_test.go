package mneme

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// byTopic embeds a text by what it mentions.
type byTopic struct{ words []string }

func (b byTopic) Embed(_ context.Context, text string, _ bool) ([]float32, error) {
	v := make([]float64, len(b.words)+1)
	for i, w := range b.words {
		v[i] = float64(strings.Count(text, w))
	}
	v[len(b.words)] = 0.01
	return unit(v)
}

var topics = []string{"boat", "tomato", "violin"}

// talk is a conversation about three things in turn, with a few utterances on each at a time.
func talk(t testing.TB, m *Model, opts ...ConversationOption) *Conversation {
	t.Helper()
	opts = append([]ConversationOption{
		WithEmbedder(byTopic{topics}), WithEpisodes(3), WithSegmentWidth(2), WithSession(WithKVBudget(64), WithPrefillBlock(64)),
	}, opts...)
	c, err := NewConversation(m, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		topic := topics[i/2%3]
		c.Add("Ann", fmt.Sprintf("the %s was number %d", topic, i))
		c.Add("Ben", fmt.Sprintf("and my %s was %d", topic, 100-i))
	}
	return c
}

func ask(t testing.TB, c *Conversation, question string, opts ...Option) Answer {
	t.Helper()
	a, err := c.Ask(t.Context(), question, append([]Option{WithMaxTokens(8)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestQuestionsGoToTheirEpisode(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	c := talk(t, m)
	seen := map[int]bool{}
	for i, topic := range topics {
		a := ask(t, c, "what about the "+topic+"?")
		if again := ask(t, c, "one more "+topic); again.Episode != a.Episode || again.Opened {
			t.Errorf("%s: episode %d, then %d", topic, a.Episode, again.Episode)
		}
		if seen[a.Episode] || a.Similarity < 0.9 || len(a.Tokens) == 0 {
			t.Errorf("question %d: %+v", i, a)
		}
		seen[a.Episode] = true
		layers, heads := m.Config().Layers, m.Config().KVHeads
		if most := int64(layers * heads * (64 + 64)); c.session.sequence.Cache.Rows() > most {
			t.Errorf("%d rows, the budget and a block are %d", c.session.sequence.Cache.Rows(), most)
		}
	}
	if c.Episodes() != 3 {
		t.Errorf("%d episodes", c.Episodes())
	}
}

// A question that is word for word a segment's text goes to that segment's episode, with the embedder of the model's own.
func TestQuestionThatIsASegmentGoesToItsEpisode(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	c := talk(t, m, WithEmbedder(m.HiddenStates()))
	ask(t, c, "hello")
	segments, err := episodic.Segments(c.said[:c.built], 2)
	if err != nil {
		t.Fatal(err)
	}
	points, err := c.embedSegments(t.Context(), segments)
	if err != nil {
		t.Fatal(err)
	}
	centroids := make([][]float32, len(c.episodes))
	for i := range c.episodes {
		centroids[i] = c.episodes[i].centroid
	}
	for k, s := range segments {
		a, err := c.route(t.Context(), s.Text)
		if err != nil {
			t.Fatal(err)
		}
		// k-means leaves every point with the nearest centroid; by the cosine that may be another one.
		if want, _ := episodic.Route(points[k], centroids, episodic.Cosine); a.Episode != want {
			t.Errorf("segment %d goes to episode %d, want %d", k, a.Episode, want)
		}
	}
}

// One episode is matched by every question, and its centroid is the mean of all segments.
func TestOneEpisode(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	c := talk(t, m, WithEpisodes(1))
	for _, question := range []string{"boat", "violin", "nothing of it"} {
		if a := ask(t, c, question); a.Episode != 0 || c.Episodes() != 1 {
			t.Errorf("%s: %+v", question, a)
		}
	}
	segments, err := episodic.Segments(c.said[:c.built], 2)
	if err != nil {
		t.Fatal(err)
	}
	points, err := c.embedSegments(t.Context(), segments)
	if err != nil {
		t.Fatal(err)
	}
	for j, got := range c.episodes[0].centroid {
		var want float64
		for _, p := range points {
			want += float64(p[j]) / float64(len(points))
		}
		if d := float64(got) - want; d > 1e-6 || d < -1e-6 {
			t.Errorf("dimension %d of the centroid is %v, want %v", j, got, want)
		}
	}
}

// With a budget that the whole talk fits into, every episode answers as a session does that has read all of it.
func TestEpisodesOfTheWholeTalkAnswerAlike(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	c := talk(t, m, WithIndependentQuestions(), WithSession(WithKVBudget(4096)))
	want := newSession(t, m, WithPrefillBlock(64))
	if err := want.Evaluate(t.Context(), c.encode(c.history(), true), nil); err != nil {
		t.Fatal(err)
	}
	from, err := want.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		a := ask(t, c, topic)
		if err := want.Restore(from); err != nil {
			t.Fatal(err)
		}
		prompt := c.encode("\nUser: \""+topic+"\"\nAssistant:", false)
		if got := generate(t, want, prompt, WithMaxTokens(8), WithTemperature(0), WithStop("\n")); !slices.Equal(got, a.Tokens) {
			t.Errorf("%s: %v, a session with the whole text says %v", topic, a.Tokens, got)
		}
	}
}

// Independent questions do not depend on each other.
func TestIndependentQuestions(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	alone := ask(t, talk(t, m, WithIndependentQuestions()), "my tomato")
	c := talk(t, m, WithIndependentQuestions())
	said := len(c.Utterances())
	ask(t, c, "tell me of the tomato and of the boat")
	ask(t, c, "violin")
	after := ask(t, c, "my tomato")
	if !slices.Equal(alone.Tokens, after.Tokens) || alone.Episode != after.Episode || len(c.Utterances()) != said {
		t.Errorf("%+v after others, %+v alone", after, alone)
	}
}

// What is said later is read with the next question, stays with its episode, and is clustered anew when that is full.
func TestEpisodesGrowAndAreBuiltAnew(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	c := talk(t, m)
	ask(t, c, "boat")
	built := c.built
	for i := range 5 {
		c.Add("Ann", fmt.Sprintf("another boat, number %d, came in", i))
		a := ask(t, c, fmt.Sprintf("boat %d?", i))
		if rows := c.session.sequence.Cache.Rows(); rows > int64(m.Config().Layers*m.Config().KVHeads*(64+64)) {
			t.Fatalf("%d rows", rows)
		}
		if a.Memory.KVBytes <= 0 {
			t.Fatalf("%+v", a)
		}
	}
	if c.built == built || c.read != len(c.said) {
		t.Errorf("episodes of %d utterances, before %d, of %d", c.built, built, len(c.said))
	}
}

func TestNewEpisodeBelowAThreshold(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	c := talk(t, m, WithNewEpisodeBelow(0.5))
	if a := ask(t, c, "boat"); a.Opened {
		t.Fatalf("%+v", a)
	}
	a := ask(t, c, "something else entirely")
	if !a.Opened || a.Episode != 3 || c.Episodes() != 4 {
		t.Fatalf("%+v", a)
	}
	if again := ask(t, c, "something else entirely"); again.Opened || again.Episode != 3 {
		t.Errorf("%+v", again)
	}
	if back := ask(t, c, "violin"); back.Opened || back.Episode == 3 {
		t.Errorf("%+v", back)
	}
	if again := ask(t, c, "something else entirely"); again.Opened || again.Episode != 3 {
		t.Errorf("%+v", again)
	}
}

// Episodes in files answer as those in memory do, also for a conversation that is taken up again.
func TestEpisodesInFiles(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	folder := filepath.Join(t.TempDir(), "episodes")
	questions := []string{"boat", "violin", "tomato", "boat again", "violin", "boat"}
	inMemory, inFiles := talk(t, m), talk(t, m, WithEpisodeFolder(folder))
	for _, q := range questions {
		want, got := ask(t, inMemory, q), ask(t, inFiles, q)
		if !slices.Equal(want.Tokens, got.Tokens) || want.Episode != got.Episode || got.Inactive != 0 {
			t.Fatalf("%s: %+v, in memory %+v", q, got, want)
		}
	}
	if err := inFiles.Save(); err != nil {
		t.Fatal(err)
	}
	again, err := NewConversation(m, WithEmbedder(byTopic{topics}), WithEpisodes(3), WithSegmentWidth(2),
		WithSession(WithKVBudget(64), WithPrefillBlock(64)), WithEpisodeFolder(folder))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Utterances(), inMemory.Utterances()) || again.Episodes() != 3 {
		t.Fatalf("%d utterances in %d episodes", len(again.Utterances()), again.Episodes())
	}
	for _, q := range questions {
		want, got := ask(t, inMemory, q), ask(t, again, q)
		if !slices.Equal(want.Tokens, got.Tokens) || want.Episode != got.Episode {
			t.Fatalf("%s, taken up again: %+v, in memory %+v", q, got, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("%v, error %v", files, err)
	}
	other := synthModel(t, "qwen3-tiny")
	if _, err := NewConversation(other, WithEpisodeFolder(folder)); !errors.Is(err, ErrMismatch) {
		t.Errorf("with another model: error %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, manifestName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewConversation(m, WithEpisodeFolder(folder)); err == nil {
		t.Error("a damaged manifest was read")
	}
}

func TestConversationsAreChecked(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	for name, opt := range map[string]ConversationOption{
		"no episodes": WithEpisodes(0), "no width": WithSegmentWidth(0), "no representatives": WithRepresentatives(0), "no embedder": WithEmbedder(nil),
		"another policy": WithSession(WithPolicy("window")), "a negative budget": WithSession(WithKVBudget(-1)),
		"a small budget": WithSession(WithKVBudget(3)), "sensitivity of too few layers": WithSensitivity([]float64{0.5}, episodic.PaperAllocation(2)),
		"layers that are not": WithSession(WithLayerBudgets([]int{100})),
	} {
		if _, err := NewConversation(m, opt); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c, err := NewConversation(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ask(t.Context(), "why?"); err == nil {
		t.Error("a question about nothing was answered")
	}
	c.Add("Ann", "something")
	if _, err := c.Ask(t.Context(), "  "); err == nil {
		t.Error("an empty question was answered")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ask(ctx, "what?"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, err := c.Ask(t.Context(), "what?", WithMaxTokens(2)); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// Layers that suffer more get more of the budget.
func TestConversationWithSensitivity(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	layers := m.Config().Layers
	sigma := make([]float64, layers)
	for l := range sigma {
		sigma[l] = 0.9 - 0.1*float64(l)
	}
	c := talk(t, m, WithSensitivity(sigma, episodic.PaperAllocation(1)), WithIndependentQuestions())
	ask(t, c, "boat")
	cache := c.session.sequence.Cache
	rows := make([]int, layers)
	for l := range layers {
		for h := range m.Config().KVHeads {
			rows[l] += cache.Len(l, h)
		}
	}
	if !slices.IsSorted(rows) || rows[0] == rows[layers-1] {
		t.Errorf("rows of the layers: %v", rows)
	}
}

// With long utterances split, a segment is as many sentences.
func TestLongUtterancesSplit(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	segments := func(opts ...ConversationOption) int {
		c := talk(t, m, append(opts, WithEpisodes(1), WithIndependentQuestions())...)
		c.Add("Ann", strings.Repeat("the boat came in from the sea with its sails torn. ", 12))
		ask(t, c, "boat")
		return len(c.episodes[0].segments)
	}
	if whole, split := segments(), segments(WithLongUtterancesSplit()); whole != 13 || split != 18 {
		t.Errorf("%d segments, split %d", whole, split)
	}
}
