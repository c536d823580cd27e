package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mneme-lm/mneme/internal/atomicfile"
)

// Setting is something that trials depend on.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// NeedleLog is a file of trials, which a measurement goes on from that was interrupted: a line that says what they depend on,
// and one for each trial, which is written when it is done. Neither lengths, depths nor the number of trials are part of that: trials do
// not depend on each other. A nil log has none, and keeps none.
type NeedleLog struct {
	mu     sync.Mutex
	file   *os.File
	trials map[placeKey]*NeedleTrial
	synced time.Time
}

// placeKey tells texts apart.
type placeKey struct {
	length int
	depth  float64
	trial  int
}

func (p Place) key() placeKey { return placeKey{p.Length, p.Depth, p.Trial} }

// logHead is the first line.
type logHead struct {
	Version  int       `json:"needle_log"`
	Settings []Setting `json:"settings"`
}

// logVersion is raised when the meaning of the lines changes.
const logVersion = 1

// syncInterval is how often what was written is put on the disk. A process that is killed loses nothing of it in any case.
const syncInterval = time.Second

// OpenNeedleLog opens the file, or begins it. One that was written with other settings is refused, and so is one with a line that is no
// trial. The last line is left out where it is not complete, as when a process ended while it was written, and done again.
func OpenNeedleLog(path string, settings []Setting) (*NeedleLog, error) {
	l := &NeedleLog{trials: map[placeKey]*NeedleTrial{}, synced: time.Now()}
	head, err := json.Marshal(logHead{logVersion, settings})
	if err != nil {
		return nil, err
	}
	head = append(head, '\n')
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if bytes.HasPrefix(head, data) && len(data) < len(head) { // nothing, or the beginning of what is to be there
		data = head
		if err := begin(path, head); err != nil {
			return nil, err
		}
	}
	good, err := l.read(data, settings)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if good < len(data) {
		if err := os.Truncate(path, int64(good)); err != nil {
			return nil, err
		}
	}
	if l.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return nil, err
	}
	return l, nil
}

// begin writes the first line.
func begin(path string, head []byte) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(head); err != nil {
		return err
	}
	return f.Commit()
}

// read takes the trials from a file, and returns how many bytes of it are good.
func (l *NeedleLog) read(data []byte, settings []Setting) (good int, err error) {
	line, rest, whole := bytes.Cut(data, []byte("\n"))
	var head logHead
	if err := json.Unmarshal(line, &head); err != nil || !whole || head.Version == 0 {
		return 0, errors.New("it is there, and no log of trials")
	}
	if head.Version != logVersion {
		return 0, fmt.Errorf("it is a log of version %d, want %d", head.Version, logVersion)
	}
	if other := differences(head.Settings, settings); other != "" {
		return 0, fmt.Errorf("its trials were done otherwise: %s", other)
	}
	good = len(line) + 1
	for number := 2; ; number++ {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			return good, nil
		}
		t := &NeedleTrial{}
		if err := json.Unmarshal(line, t); err != nil {
			return 0, fmt.Errorf("line %d is no trial: %w", number, err)
		}
		if t.Asked < 1 || len(t.Answers) > t.Asked {
			return 0, fmt.Errorf("line %d is no trial: %d answers to %d questions", number, len(t.Answers), t.Asked)
		}
		if l.trials[t.key()] == nil {
			l.trials[t.key()] = t
		}
		good, rest = good+len(line)+1, after
	}
}

// differences says which settings a file has others of.
func differences(have, want []Setting) string {
	var list []string
	value := func(settings []Setting, name string) (string, bool) {
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
		if i < 0 {
			return "", false
		}
		return settings[i].Value, true
	}
	for _, w := range want {
		if h, ok := value(have, w.Name); !ok {
			list = append(list, fmt.Sprintf("without %s, which now is %s", w.Name, w.Value))
		} else if h != w.Value {
			list = append(list, fmt.Sprintf("%s was %s, and is %s", w.Name, h, w.Value))
		}
	}
	for _, h := range have {
		if _, ok := value(want, h.Name); !ok {
			list = append(list, fmt.Sprintf("%s was %s", h.Name, h.Value))
		}
	}
	return strings.Join(list, "; ")
}

// finished is what came of a text, if that is known.
func (l *NeedleLog) finished(p Place) *NeedleTrial {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trials[p.key()]
}

// add writes what came of a text.
func (l *NeedleLog) add(t *NeedleTrial) error {
	if l == nil {
		return nil
	}
	line, err := json.Marshal(t)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return err
	}
	l.trials[t.key()] = t
	if time.Since(l.synced) < syncInterval {
		return nil
	}
	l.synced = time.Now()
	return l.file.Sync()
}

// sync puts all that was written on the disk.
func (l *NeedleLog) sync() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Sync()
}

// Close closes the file.
func (l *NeedleLog) Close() error { return l.file.Close() }
