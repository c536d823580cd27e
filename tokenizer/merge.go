package tokenizer

import "math"

// noRank is the rank of a pair that does not merge.
const noRank = math.MaxUint32

// joiner says whether two neighbouring symbols merge. Symbols are values: token ids for byte-level vocabularies, for
// SentencePiece the offset at which the symbol's text begins. The value after the pair comes along since it is where the
// right symbol ends.
type joiner interface {
	// join returns the rank of a pair, lower ones merge earlier, and the value of the merged symbol.
	join(left, right, after int32) (rank uint32, merged int32)
}

// shortWord is the number of symbols up to which scanning all ranks for the lowest beats keeping a heap. Words of
// ordinary text are below it.
const shortWord = 40

// merge joins pairs, lowest rank first, the leftmost among equals, until none is left to join. val holds n symbols and
// one value more that ends the last. It returns the symbols that remain, again with the value that ends them, in val or
// in a buffer that the next call overwrites.
func merge[J joiner](j J, val []int32, buf *mergeBuffers) []int32 {
	switch n := len(val) - 1; {
	case n < 2:
		return val
	case n <= shortWord:
		return mergeShort(j, val)
	default:
		return mergeLong(j, val, buf)
	}
}

// mergeShort looks through all ranks for each merge. It works in place.
func mergeShort[J joiner](j J, val []int32) []int32 {
	var store [shortWord]uint32
	rank := store[:len(val)-2] // rank[i] is that of symbols i and i+1
	for i := range rank {
		rank[i], _ = j.join(val[i], val[i+1], val[i+2])
	}
	for len(rank) > 0 {
		best := 0
		for i, r := range rank {
			if r < rank[best] {
				best = i
			}
		}
		if rank[best] == noRank {
			break
		}
		_, val[best] = j.join(val[best], val[best+1], val[best+2])
		val = append(val[:best+1], val[best+2:]...)
		rank = append(rank[:best], rank[best+1:]...)
		if best < len(rank) {
			rank[best], _ = j.join(val[best], val[best+1], val[best+2])
		}
		if best > 0 {
			rank[best-1], _ = j.join(val[best-1], val[best], val[best+1])
		}
	}
	return val
}
