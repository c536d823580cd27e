package mneme

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/mneme-lm/mneme/internal/filemem"
	"github.com/mneme-lm/mneme/kvcache"
)

// ErrStoreInUse is wrapped when a second session is to keep its keys and values in a file that one has already.
var ErrStoreInUse = filemem.ErrInUse

// errClosed is what a session answers after Close.
var errClosed = errors.New("mneme: the session was closed")

// WithKVStore keeps keys and values in a file instead of in memory: the system writes them out and reads them back as they
// are needed, so that a text may be longer than memory would hold. What summarizes them for attention to find its way, with
// the method "retrieval" or "landmark", stays in memory; other methods read all of the file for every token. Results do
// not depend on it.
//
// The file is the session's until Close. It is made, or taken over from a session that has ended; another file is refused.
// It is no form of saving: see Save.
func WithKVStore(path string) SessionOption { return func(o *sessionOptions) { o.store = path } }

// store is the file that a session's rows lie in. It is closed when the session and all of its snapshots are, or nothing
// can reach it any more.
type store struct {
	file *filemem.File
	refs atomic.Int32
}

// hold notes one more that needs the file; release that it does no longer.
func (s *store) hold() *store {
	if s != nil {
		s.refs.Add(1)
	}
	return s
}

func (s *store) release() error {
	if s == nil || s.refs.Add(-1) > 0 {
		return nil
	}
	return s.file.Close()
}

// newStore opens a session's file; nil: it has none.
func newStore(o *sessionOptions) (*store, error) {
	if o.store == "" {
		return nil, nil
	}
	file, err := filemem.Create(o.store)
	if err != nil {
		return nil, fmt.Errorf("mneme: a file for keys and values: %w", err)
	}
	s := &store{file: file}
	s.refs.Store(1)
	runtime.AddCleanup(s, func(f *filemem.File) { f.Close() }, file) // nobody is left who could be told of an error
	return s, nil
}

// rows is the store as a cache sees it.
func (s *store) rows() kvcache.Store {
	if s == nil {
		return nil
	}
	return s.file
}

// Close ends the session and gives its file back, if it has one (WithKVStore): of that the header is left. A session
// without one need not be closed. Where there are snapshots the file is theirs until they are closed, too.
func (s *Session) Close() error {
	if err := s.claim(); err != nil {
		if errors.Is(err, errClosed) {
			return nil
		}
		return err
	}
	s.closed.Store(true)
	s.busy.Store(false)
	return s.store.release()
}

// Close ends the snapshot: its share of the file that the session's rows lie in, if there is one. Others need not be closed.
func (s *Snapshot) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.store.release()
}
