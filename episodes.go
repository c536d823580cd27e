package mneme

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/mneme-lm/mneme/kvcache/episodic"
	"github.com/mneme-lm/mneme/tokenizer"
)

// build makes the episodes of all that was said: segments, their embeddings, clusters, and for each cluster a cache within
// the budget.
func (c *Conversation) build(ctx context.Context) error {
	if len(c.said) == 0 {
		return errors.New("mneme: nothing was said that a question could be about")
	}
	said := c.said
	if c.options.split {
		said = episodic.SplitLong(said)
	}
	segments, err := episodic.Segments(said, c.options.width)
	if err != nil {
		return err
	}
	points, err := c.embedSegments(ctx, segments)
	if err != nil {
		return err
	}
	clusters, err := episodic.KMeans(points, c.options.episodes, c.options.seed, episodic.Restarts)
	if err != nil {
		return err
	}
	budgets, block, err := c.budgets()
	if err != nil {
		return err
	}
	if err := c.writeBack(); err != nil { // so that the episodes there are stay whole if anything fails
		return err
	}
	c.active = -1
	history := c.encode(c.history(), true)
	if err := c.refuseEpisodes(len(clusters.Centroids), len(history)); err != nil {
		return err
	}
	episodes := make([]episode, len(clusters.Centroids))
	for i := range episodes {
		e := &episodes[i]
		e.centroid, e.prompt = clusters.Centroids[i], c.scoringPrompt(segments, points, clusters, i, block)
		for k, of := range clusters.Of {
			if of == i {
				e.segments = append(e.segments, k)
			}
		}
		report := func(read int) {
			c.report(BuildProgress{Episode: i + 1, Episodes: len(episodes), Done: read, Total: len(history)})
		}
		if err := c.prefill(ctx, budgets, e, history, report); err != nil {
			c.removeFiles(episodes)
			return fmt.Errorf("mneme: episode %d of %d: %w", i+1, len(episodes), err)
		}
	}
	c.episodes, c.active = episodes, -1
	c.built, c.read = len(c.said), len(c.said)
	return c.writeManifest()
}

// report tells whoever wants to know how far the building is.
func (c *Conversation) report(p BuildProgress) {
	if c.options.progress != nil {
		c.options.progress(p)
	}
}

// refuseEpisodes returns an error if the caches of so many episodes, and what the model's memory learns of each, would not fit
// into memory.
func (c *Conversation) refuseEpisodes(n, tokens int) error {
	if c.options.folder != "" {
		n = 1
	}
	e := c.session.sequence.Eviction
	bytes, err := c.model.keyValueBytes(&c.session.options, e, tokens)
	if err != nil {
		return err
	}
	bytes = sum(bytes, c.session.sequence.MemoryBytes())
	if bytes > math.MaxInt64/int64(n) {
		bytes = math.MaxInt64 / int64(n)
	}
	return refuse(int64(n)*bytes, fmt.Sprintf("what %d episodes remember", n))
}

// history is all that was said, as the model reads it.
func (c *Conversation) history() string {
	var text strings.Builder
	for _, u := range c.said {
		writeUtterance(&text, u)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func writeUtterance(text *strings.Builder, u episodic.Utterance) {
	if u.Date != "" {
		fmt.Fprintf(text, "[%s]\n", u.Date)
	}
	text.WriteString(u.Line())
	text.WriteByte('\n')
}

// encode makes tokens of text that comes from elsewhere: what looks like a control token in it is text.
func (c *Conversation) encode(text string, begin bool) []int32 {
	return c.model.tokenizer.Encode(text, tokenizer.EncodeOptions{AddSpecial: begin})
}

// prefill reads the history into a cache whose rows are scored by an episode's prompt.
func (c *Conversation) prefill(ctx context.Context, budgets []int, e *episode, history []int32, report func(read int)) error {
	s, err := c.newSession(budgets)
	if err != nil {
		return err
	}
	s.episode, s.progress = e.prompt, report
	if err := s.Evaluate(ctx, history, nil); err != nil {
		return err
	}
	if e.cache, err = s.Snapshot(); err != nil || c.options.folder == "" {
		return err
	}
	if err := c.session.Restore(e.cache); err != nil {
		return err
	}
	e.cache = nil
	return c.saveEpisode(e)
}

// scoringInstruction comes before the segments that stand for an episode.
const scoringInstruction = "\nRecall what the following is about: the people and what they are like, events with their dates, promises, opinions and how people stand to each other.\n"

// scoringPrompt is the patched prompt of an episode: an instruction and the segments nearest to its centre, as many as
// half a block has room for, at least the beginning of one.
func (c *Conversation) scoringPrompt(segments []episodic.Segment, points [][]float32, clusters episodic.Clusters, e, block int) []int32 {
	room := max(1, block/2)
	for n := c.options.representatives; ; n-- {
		var text strings.Builder
		text.WriteString(scoringInstruction)
		for _, k := range episodic.Medoids(points, clusters, e, n) {
			text.WriteString(segments[k].Text)
		}
		if ids := c.encode(text.String(), false); len(ids) <= room || n == 1 {
			return ids[:min(len(ids), room)]
		}
	}
}

// embedSegments returns the segments' embeddings, of length 1. Those of the model's hidden states all point in about the
// same direction, which says nothing of their topics: their mean is taken off, here and from questions.
func (c *Conversation) embedSegments(ctx context.Context, segments []episodic.Segment) ([][]float32, error) {
	points := make([][]float32, len(segments))
	for i := range segments {
		var err error
		if points[i], err = c.embedding(ctx, segments[i].Text, false); err != nil {
			return nil, fmt.Errorf("mneme: segment %d of %d: %w", i+1, len(segments), err)
		}
		if len(points[i]) != len(points[0]) {
			return nil, fmt.Errorf("mneme: the embedding of segment %d has %d values, that of the first %d", i+1, len(points[i]), len(points[0]))
		}
		c.report(BuildProgress{Done: i + 1, Total: len(segments)})
	}
	c.mean = nil
	if _, own := c.options.embedder.(hiddenStates); own && len(points) > 1 {
		c.mean = make([]float64, len(points[0]))
		for _, p := range points {
			for j, v := range p {
				c.mean[j] += float64(v) / float64(len(points))
			}
		}
	}
	for i := range points {
		points[i] = c.centre(points[i])
	}
	return points, nil
}

// embedding is that of a text, which is worked out once.
func (c *Conversation) embedding(ctx context.Context, text string, question bool) ([]float32, error) {
	if question {
		return c.options.embedder.Embed(ctx, text, true)
	}
	if e, ok := c.known[text]; ok {
		return e, nil
	}
	e, err := c.options.embedder.Embed(ctx, text, false)
	if err == nil {
		c.known[text] = e
	}
	return e, err
}

// centre takes the mean off an embedding. What nothing is left of stays as it is.
func (c *Conversation) centre(e []float32) []float32 {
	if c.mean == nil || len(e) != len(c.mean) {
		return e
	}
	v := make([]float64, len(e))
	for j := range e {
		v[j] = float64(e[j]) - c.mean[j]
	}
	if u, err := unit(v); err == nil {
		return u
	}
	return e
}

// route finds the episode of a question, or opens one.
func (c *Conversation) route(ctx context.Context, question string) (Answer, error) {
	e, err := c.embedding(ctx, question, true)
	if err != nil {
		return Answer{}, fmt.Errorf("mneme: the question: %w", err)
	}
	e = c.centre(e)
	centroids := make([][]float32, len(c.episodes))
	for i := range c.episodes {
		centroids[i] = c.episodes[i].centroid
	}
	nearest, similarity := episodic.Route(e, centroids, c.options.routing)
	if nearest < 0 {
		return Answer{}, fmt.Errorf("mneme: the question's embedding, of %d values, cannot be compared with those of the episodes", len(e))
	}
	if similarity >= c.options.below {
		return Answer{Episode: nearest, Similarity: similarity}, nil
	}
	c.episodes = append(c.episodes, episode{centroid: e, prompt: c.encode(question, false)})
	return Answer{Episode: len(c.episodes) - 1, Similarity: similarity, Opened: true}, nil
}

// activate brings an episode's cache into the session, and writes the one before back.
func (c *Conversation) activate(i int) error {
	if i == c.active {
		return nil
	}
	if err := c.writeBack(); err != nil {
		return err
	}
	e := &c.episodes[i]
	c.active = -1
	var err error
	switch {
	case e.cache != nil:
		err = c.session.Restore(e.cache)
	case e.file != "":
		err = c.session.Load(c.path(e.file))
	default: // it was opened a moment ago
		err = c.session.Truncate(0)
	}
	if err != nil {
		return err
	}
	c.session.episode, c.active, e.cache = e.prompt, i, nil
	return nil
}
