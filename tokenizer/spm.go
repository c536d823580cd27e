package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	spmSpace     = '▁' // U+2581, how vocabularies write a space
	spmSpaceText = "▁"

	// maxSegment bounds what is merged as one piece, so that offsets fit 32 bits. Only a text of more than this many
	// bytes without a place to cut is affected; it is cut here.
	maxSegment = 1 << 28
)

// spmEncoder merges characters by the scores of the tokens that they form.
type spmEncoder struct {
	vocab       *vocabulary
	rank        []uint32 // by token: the order of merges, from the scores
	byteToken   [256]int32
	unknown     int32 // -1 if there is none
	spacePrefix bool  // a text gets a space in front
	removeExtra bool  // runs of spaces become one, those at the ends go
	glue        glueSet
	limit       int // bytes of a segment
	cache       *wordCache
	scratch     sync.Pool // of *spmScratch
}

type spmScratch struct {
	text []byte  // the segment with its spaces escaped
	val  []int32 // where each symbol begins
	buf  mergeBuffers
}

func newSPM(r reader, v *vocabulary, unknown int32) (*spmEncoder, error) {
	e := &spmEncoder{vocab: v, unknown: unknown, glue: newGlueSet(v), limit: maxSegment, cache: newWordCache()}
	e.scratch.New = func() any { return new(spmScratch) }
	var err error
	if e.rank, err = readRanks(r, len(v.text)); err != nil {
		return nil, err
	}
	if e.spacePrefix, err = r.flag(keyAddSpacePrefix, true); err != nil {
		return nil, err
	}
	if e.removeExtra, err = r.flag(keyRemoveExtra, false); err != nil {
		return nil, err
	}
	for b := range e.byteToken {
		e.byteToken[b] = findByteToken(v, byte(b))
	}
	return e, nil
}

// readRanks turns scores into ranks: the highest score has the lowest rank, equal scores have equal ones.
func readRanks(r reader, size int) ([]uint32, error) {
	scores, ok := r.md.Float32s(keyScores)
	if !ok {
		if err := r.absent(keyScores, "an array of 32 bit floats"); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("tokenizer: there is no %s, which a vocabulary of model llama needs", keyScores)
	}
	if len(scores) != size {
		return nil, fmt.Errorf("tokenizer: %s has %d entries for %d tokens", keyScores, len(scores), size)
	}
	ranks := make([]uint32, size)
	for id, s := range scores {
		if s != s {
			return nil, fmt.Errorf("tokenizer: %s: that of token %d is not a number", keyScores, id)
		}
		ranks[id] = rankOfScore(s)
	}
	return ranks, nil
}

// rankOfScore maps floats to integers in the opposite order; both zeros have the same rank.
func rankOfScore(score float32) uint32 {
	if score == 0 {
		score = 0 // not -0
	}
	bits := math.Float32bits(score)
	if bits>>31 != 0 {
		return bits
	}
	return ^(bits | 1<<31)
}

// findByteToken returns the token of a byte: <0x0A>, or the byte itself as a token, or -1.
func findByteToken(v *vocabulary, b byte) int32 {
	if id, ok := v.ids[byteToken(b)]; ok {
		return id
	}
	if id, ok := v.ids[string([]byte{b})]; ok {
		return id
	}
	return -1
}

// appendText encodes text between special tokens. first says that nothing or a special token comes before it.
func (e *spmEncoder) appendText(dst []int32, text string, first bool) []int32 {
	if e.removeExtra {
		text = collapseSpaces(text)
	}
	if text == "" {
		return dst
	}
	if e.spacePrefix && first {
		text = " " + text
	}
	sc := e.scratch.Get().(*spmScratch)
	cuttable := utf8.ValidString(text) // else a broken character could reach across a cut
	for text != "" {
		n := len(text)
		if cuttable {
			n = e.glue.cut(text)
		}
		n = limitSegment(text, n, e.limit)
		dst = e.appendSegment(dst, text[:n], sc)
		text = text[n:]
	}
	if cap(sc.text)+4*cap(sc.val)+sc.buf.bytes() <= maxScratch {
		e.scratch.Put(sc)
	}
	return dst
}

// maxScratch is the size in bytes up to which buffers are kept for the next call.
const maxScratch = 1 << 20

// limitSegment shortens a segment that is too long, if possible before the start of a character.
func limitSegment(text string, n, limit int) int {
	if n <= limit {
		return n
	}
	n = limit
	for n > max(limit-utf8.UTFMax, 1) && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// collapseSpaces makes one space of each run of spaces and removes those at the ends.
func collapseSpaces(text string) string {
	text = strings.Trim(text, " ")
	if !strings.Contains(text, "  ") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := range len(text) {
		if text[i] != ' ' || text[i-1] != ' ' {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// appendSegment encodes text in which any two symbols might merge.
func (e *spmEncoder) appendSegment(dst []int32, seg string, sc *spmScratch) []int32 {
	if out, ok := e.cache.append(dst, seg); ok {
		return out
	}
	sc.text = appendEscaped(sc.text[:0], seg)
	sc.val = appendSymbolStarts(sc.val[:0], sc.text)
	before := len(dst)
	ends := merge(spmJoiner{e, sc.text}, sc.val, &sc.buf)
	for i := range len(ends) - 1 {
		dst = e.appendSymbol(dst, sc.text[ends[i]:ends[i+1]])
	}
	e.cache.keep(seg, dst[before:])
	return dst
}

// appendEscaped appends text with its spaces as the vocabulary writes them.
func appendEscaped(dst []byte, text string) []byte {
	for {
		i := strings.IndexByte(text, ' ')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		dst = append(dst, spmSpaceText...)
		text = text[i+1:]
	}
}

// symbolLen is the length of a character by the upper half of its first byte; what follows is not examined, and stray
// continuation bytes are symbols of their own.
var symbolLen = [16]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4}

// appendSymbolStarts appends the offset of each character, and the length of the text.
func appendSymbolStarts(dst []int32, text []byte) []int32 {
	dst = slices.Grow(dst, utf8.RuneCount(text)+1)
	for i := 0; i < len(text); i += symbolLen[text[i]>>4] {
		dst = append(dst, int32(i))
	}
	return append(dst, int32(len(text)))
}

// appendSymbol appends the token of a merged symbol, or those of its bytes.
func (e *spmEncoder) appendSymbol(dst []int32, symbol []byte) []int32 {
	if id, ok := e.vocab.ids[string(symbol)]; ok {
		return append(dst, id)
	}
	before := len(dst)
	for _, b := range symbol {
		if e.byteToken[b] < 0 {
			return e.appendUnknown(dst[:before])
		}
		dst = append(dst, e.byteToken[b])
	}
	return dst
}

// appendUnknown appends what stands for a character that the vocabulary cannot express, if anything does.
func (e *spmEncoder) appendUnknown(dst []int32) []int32 {
	if e.unknown < 0 {
		return dst
	}
	return append(dst, e.unknown)
}

// spmJoiner merges two symbols if their text together is a token.
type spmJoiner struct {
	e    *spmEncoder
	text []byte
}

func (j spmJoiner) join(left, _, after int32) (rank uint32, merged int32) {
	if int(after-left) > j.e.vocab.maxLen {
		return noRank, left
	}
	id, ok := j.e.vocab.ids[string(j.text[left:after])]
	if !ok {
		return noRank, left
	}
	return j.e.rank[id], left
}
