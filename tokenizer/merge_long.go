package tokenizer

import "slices"

// A word can be as long as a document: scripts without spaces, encoded data, a text made to be slow. Merging all of it
// at once would jump about in memory many times the size of the text. Instead the word is merged in windows, which rests
// on this:
//
// Let tokens t1 ... tm be such that merging the symbols of each ti alone gives ti, and those of each neighbouring pair
// gives ti, ti+1 again. Then merging all symbols gives t1 ... tm. For take the first merge that would cross a boundary,
// say between ti and ti+1. Until then the symbols of ti and ti+1 have merged only among themselves, in the order in which
// they merge when the pair is alone, so that this merge would happen there as well, which it does not.
//
// So a window may be merged on its own if only the boundary where it joins what came before holds, and that depends on
// two tokens. If it does not, more of the tokens before it are merged anew together with the window.

const (
	// windowSymbols is the least number of symbols merged at a time. The lists for so many fit a second level cache.
	windowSymbols = 1 << 11

	// windowOverlap is the number of tokens before a window that are merged with it in the first place. They were cut
	// short by the end of the window before, so their boundaries are likely to move.
	windowOverlap = 4
)

// mergeLong merges words of any length in windows.
func mergeLong[J joiner](j J, val []int32, b *mergeBuffers) []int32 {
	n := len(val) - 1
	b.starts = slices.Grow(b.starts[:0], n/4)
	b.merged = slices.Grow(b.merged[:0], n/4)
	window := windowSymbols
	for at := 0; at < n; {
		end := min(at+window, n)
		again := at - mergeWindow(j, val, at, end, b)
		// Where a window reaches far back the next is as large, so that the work stays proportional to the text.
		window = max(windowSymbols, again)
		at = end
	}
	return append(b.merged, val[n])
}

// mergeWindow merges the symbols val[at:end] with as many tokens before them as need to be, and returns the index of the
// first symbol that was merged.
func mergeWindow[J joiner](j J, val []int32, at, end int, b *mergeBuffers) int {
	for overlap := windowOverlap; ; overlap *= 2 {
		keep := max(len(b.starts)-overlap, 0)
		redo := slices.Clone(b.starts[keep:])
		redone := slices.Clone(b.merged[keep:])
		from := at
		if len(redo) > 0 {
			from = int(redo[0])
		}
		b.starts, b.merged = b.starts[:keep], b.merged[:keep]
		mergeChain(j, val, from, end, b)
		if keep == 0 || boundaryHolds(j, val, keep, end, b) {
			return from
		}
		b.starts = append(b.starts[:keep], redo...)
		b.merged = append(b.merged[:keep], redone...)
	}
}

// boundaryHolds reports whether token k and the one before it remain two if their symbols are merged together. end is
// the index after the last symbol of all tokens.
func boundaryHolds[J joiner](j J, val []int32, k, end int, b *mergeBuffers) bool {
	if k+1 < len(b.starts) {
		end = int(b.starts[k+1])
	}
	count, boundary := len(b.starts), b.starts[k]
	mergeChain(j, val, int(b.starts[k-1]), end, b)
	pair := b.starts[count:]
	holds := len(pair) == 2 && pair[1] == boundary
	b.starts, b.merged = b.starts[:count], b.merged[:count]
	return holds
}
