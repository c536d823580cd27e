package mneme

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mneme-lm/mneme/internal/atomicfile"
	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// A conversation's folder holds a file for each episode, as Session.Save writes it, and a manifest that names them. Episodes
// are written under new names; the manifest, which is replaced in one step, then names these, and the old ones go: a process
// that is killed leaves one or the other whole.
const (
	manifestName    = "conversation.json"
	episodePattern  = "episode-*.mneme"
	manifestVersion = 1
)

// manifest is what a folder says of its conversation.
type manifest struct {
	Version  int                  `json:"version"`
	Model    string               `json:"model"` // fingerprint
	Settings settings             `json:"settings"`
	Said     []episodic.Utterance `json:"said"`
	Built    int                  `json:"built"`
	Read     int                  `json:"read"`
	Mean     []float64            `json:"mean"` // of the segments' embeddings
	Episodes []savedEpisode       `json:"episodes"`
}

// settings are those that episodes depend on, beside those of their sessions, which their files have.
type settings struct {
	Episodes        int    `json:"episodes"`
	Width           int    `json:"width"`
	Representatives int    `json:"representatives"`
	Seed            uint64 `json:"seed"`
	SplitLong       bool   `json:"split_long"`
}

func (o *conversationOptions) settings() settings {
	return settings{o.episodes, o.width, o.representatives, o.seed, o.split}
}

func (s settings) String() string {
	text := fmt.Sprintf("%d episodes of segments of %d utterances, %d of which stand for one, by seed %d", s.Episodes, s.Width, s.Representatives, s.Seed)
	if s.SplitLong {
		text += ", of long utterances each sentence"
	}
	return text
}

type savedEpisode struct {
	Centroid  []float32 `json:"centroid"`
	Prompt    []int32   `json:"prompt"`
	Segments  []int     `json:"segments"`
	File      string    `json:"file"`
	LineEnded bool      `json:"line_ended"`
}

func (c *Conversation) path(name string) string { return filepath.Join(c.options.folder, name) }

// writeBack keeps what the active episode has become.
func (c *Conversation) writeBack() error {
	if c.active < 0 {
		return nil
	}
	e := &c.episodes[c.active]
	if c.options.folder == "" {
		var err error
		e.cache, err = c.session.Snapshot()
		return err
	}
	if c.options.independent && e.file != "" {
		return nil // it is as it was
	}
	if err := c.saveEpisode(e); err != nil {
		return err
	}
	return c.writeManifest()
}

// saveEpisode writes what the session holds to a new file of an episode.
func (c *Conversation) saveEpisode(e *episode) error {
	if err := os.MkdirAll(c.options.folder, 0o777); err != nil {
		return err
	}
	name := "episode-" + rand.Text() + ".mneme"
	if err := c.session.Save(c.path(name)); err != nil {
		return err
	}
	e.file = name
	return nil
}

// writeManifest makes the folder tell of the episodes as they are now.
func (c *Conversation) writeManifest() error {
	if c.options.folder == "" {
		return nil
	}
	print, err := c.model.Fingerprint()
	if err != nil {
		return err
	}
	m := manifest{Version: manifestVersion, Model: print, Settings: c.options.settings(), Said: c.said[:c.read], Built: c.built, Read: c.read, Mean: c.mean}
	for i := range c.episodes {
		e := &c.episodes[i]
		if e.file == "" {
			continue // opened, and nothing is in it yet
		}
		m.Episodes = append(m.Episodes, savedEpisode{e.centroid, e.prompt, e.segments, e.file, e.lineEnded})
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := atomicfile.Create(c.path(manifestName))
	if err != nil {
		return err
	}
	defer f.Abort() // does nothing after Commit
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	return c.removeOthers(m.Episodes)
}

// removeFiles removes those of episodes that have come to nothing. What cannot be removed goes with the next manifest.
func (c *Conversation) removeFiles(episodes []episode) {
	for i := range episodes {
		if name := episodes[i].file; name != "" {
			os.Remove(c.path(name))
		}
	}
}

// removeOthers removes episodes that the manifest does not name.
func (c *Conversation) removeOthers(named []savedEpisode) error {
	files, err := filepath.Glob(c.path(episodePattern))
	if err != nil {
		return err
	}
	for _, path := range files {
		if slices.ContainsFunc(named, func(e savedEpisode) bool { return e.File == filepath.Base(path) }) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// reopen takes up the conversation that the folder holds, if it holds one.
func (c *Conversation) reopen() error {
	data, err := os.ReadFile(c.path(manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("mneme: %s: %w", c.path(manifestName), err)
	}
	if err := c.checkManifest(&m); err != nil {
		return fmt.Errorf("mneme: %s: %w", c.path(manifestName), err)
	}
	c.said, c.built, c.read, c.mean = m.Said, m.Built, m.Read, m.Mean
	for _, e := range m.Episodes {
		c.episodes = append(c.episodes, episode{centroid: e.Centroid, prompt: e.Prompt, segments: e.Segments, file: e.File, lineEnded: e.LineEnded})
	}
	return nil
}

func (c *Conversation) checkManifest(m *manifest) error {
	print, err := c.model.Fingerprint()
	if err != nil {
		return err
	}
	switch {
	case m.Version != manifestVersion:
		return fmt.Errorf("version %d, want %d: %w", m.Version, manifestVersion, ErrMismatch)
	case m.Model != print:
		return fmt.Errorf("it is a conversation with another model: %w", ErrMismatch)
	case m.Settings != c.options.settings():
		return fmt.Errorf("it has %v, and this conversation %v: %w", m.Settings, c.options.settings(), ErrMismatch)
	case m.Built < 1 || m.Read < m.Built || m.Read != len(m.Said) || len(m.Episodes) == 0:
		return fmt.Errorf("%d utterances, %d read, episodes built from %d", len(m.Said), m.Read, m.Built)
	}
	for _, e := range m.Episodes {
		if ok, _ := filepath.Match(episodePattern, e.File); !ok || filepath.Base(e.File) != e.File {
			return fmt.Errorf("%q is no episode's file", e.File)
		}
		if err := c.model.checkTokens(e.Prompt); err != nil {
			return err
		}
	}
	return nil
}
