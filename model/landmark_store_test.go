package model

import (
	"slices"
	"sync"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/weights/quant"
)

// coldStore is a store that counts what it is told will be read.
type coldStore struct {
	mu    sync.Mutex
	ahead int
}

func (s *coldStore) Reserve(int64) error            { return nil }
func (s *coldStore) Allocate(n int) ([]byte, error) { return make([]byte, n), nil }
func (s *coldStore) Cold() bool                     { return true }
func (s *coldStore) Release() error                 { return nil }

func (s *coldStore) Ahead(pieces ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pieces {
		s.ahead += len(p)
	}
}

// Of rows in a store, a token with landmarks asks for the blocks that it opens, however long the text, and results do not
// depend on where rows lie.
func TestLandmarksAskForWhatTheyOpen(t *testing.T) {
	m, err := Load(edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: landmarks()}))
	if err != nil {
		t.Fatal(err)
	}
	method, err := attention.NewMethod("landmark:blocks=2,local=16", 0)
	if err != nil {
		t.Fatal(err)
	}
	r, store := newRunner(t, m, 2), new(coldStore)
	there, err := m.NewSequence(SequenceOptions{Rows: quant.F32, Attention: method, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	here, err := m.NewSequence(SequenceOptions{Rows: quant.F32, Attention: method})
	if err != nil {
		t.Fatal(err)
	}
	tokens := text(400, 5)
	got, want := landmarkLogits(t, r, there, tokens, 16), landmarkLogits(t, r, here, tokens, 16)
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("token %d: logits depend on the store", i)
		}
	}
	store.ahead = 0
	landmarkBatch(t, r, there, []int32{7}, len(tokens))
	// The heads of a group open two blocks of 17 rows each at the most, whose keys lie in up to three groups of 16; the token itself
	// is in a group of its own.
	group, row := m.Heads/m.KVHeads, 4*(m.KeyDim+m.ValueDim)
	most := m.Layers * m.KVHeads * (group*2*3*16 + 16) * row
	if store.ahead == 0 || store.ahead > most {
		t.Errorf("%d bytes are asked for, of %d rows; want no more than %d", store.ahead, there.Cache.Seen(), most)
	}
}
