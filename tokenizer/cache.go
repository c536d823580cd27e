package tokenizer

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Text repeats its words, so their tokens are kept: of those of a novel, more than nine in ten are found here.

const (
	cacheSlots      = 1 << 15
	maxCachedBytes  = 32 // longer words are rare and not kept
	maxCachedTokens = 12
)

// cachedWord is a word with its tokens. It does not change once it is in the cache.
type cachedWord struct {
	word string
	n    int
	ids  [maxCachedTokens]int32
}

// wordCache keeps the tokens of words, each in the one slot that its hash names; a newer word takes the place of an
// older. Any number of goroutines may use it at once.
type wordCache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[cachedWord]
}

func newWordCache() *wordCache {
	return &wordCache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[cachedWord], cacheSlots)}
}

func (c *wordCache) slot(word string) *atomic.Pointer[cachedWord] {
	return &c.slots[maphash.String(c.seed, word)%cacheSlots]
}

// append appends the tokens of a word if they are known.
func (c *wordCache) append(dst []int32, word string) ([]int32, bool) {
	if len(word) > maxCachedBytes {
		return dst, false
	}
	w := c.slot(word).Load()
	if w == nil || w.word != word {
		return dst, false
	}
	return append(dst, w.ids[:w.n]...), true
}

// keep remembers the tokens of a word.
func (c *wordCache) keep(word string, ids []int32) {
	if len(word) > maxCachedBytes || len(ids) > maxCachedTokens {
		return
	}
	w := &cachedWord{word: strings.Clone(word), n: len(ids)}
	copy(w.ids[:], ids)
	c.slot(word).Store(w)
}
