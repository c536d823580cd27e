package tokenizer

import (
	"fmt"
	"math/bits"
	"strings"
)

// pairTable maps pairs of token ids to what they merge to: a hash table with linear probing, four cells of sixteen
// bytes to a cache line.
type pairTable struct {
	cells []pairCell // a power of two
	shift uint
}

type pairCell struct {
	left, right int32
	rank        uint32 // noRank in an empty cell
	merged      int32
}

// newPairTable makes room for n pairs at a load of at most three quarters.
func newPairTable(n int) *pairTable {
	size := bits.Len(uint(n + n/3 + 1))
	t := &pairTable{cells: make([]pairCell, 1<<size), shift: uint(64 - size)}
	for i := range t.cells {
		t.cells[i].rank = noRank
	}
	return t
}

// start is the cell where the search for a pair begins: the product's upper bits depend on all bits of the key.
func (t *pairTable) start(left, right int32) uint64 {
	key := uint64(uint32(left))<<32 | uint64(uint32(right))
	key ^= key >> 29
	return (key * 0x9e3779b97f4a7c15) >> t.shift
}

// insert adds a pair; of a pair that is there already the earlier rank stays.
func (t *pairTable) insert(p pairCell) {
	mask := uint64(len(t.cells) - 1)
	for i := t.start(p.left, p.right); ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.rank == noRank {
			*c = p
			return
		}
		if c.left == p.left && c.right == p.right {
			return
		}
	}
}

// join makes the table a joiner of token ids.
func (t *pairTable) join(left, right, _ int32) (rank uint32, merged int32) {
	mask := uint64(len(t.cells) - 1)
	for i := t.start(left, right); ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.left == left && c.right == right || c.rank == noRank {
			return c.rank, c.merged
		}
	}
}

// readMerges reads the list of merges, each two tokens with a space between, the first to be applied first.
func readMerges(r reader, v *vocabulary) (*pairTable, error) {
	merges, ok := r.md.Strings(keyMerges)
	if !ok {
		if err := r.absent(keyMerges, "an array of strings"); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("tokenizer: there is no %s, which a vocabulary of model gpt2 needs", keyMerges)
	}
	table := newPairTable(len(merges))
	var buf []byte
	for rank, m := range merges {
		p, err := parseMerge(v, m, &buf)
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %s: entry %d, %q: %w", keyMerges, rank, m, err)
		}
		p.rank = uint32(rank)
		table.insert(p)
	}
	return table, nil
}

// parseMerge finds the tokens of a merge. buf is used to put the merged spelling together.
func parseMerge(v *vocabulary, m string, buf *[]byte) (pairCell, error) {
	left, right, ok := cutMerge(m)
	if !ok {
		return pairCell{}, fmt.Errorf("want two tokens with a space between")
	}
	p := pairCell{}
	if p.left, ok = v.ids[left]; !ok {
		return p, fmt.Errorf("there is no token %q", left)
	}
	if p.right, ok = v.ids[right]; !ok {
		return p, fmt.Errorf("there is no token %q", right)
	}
	*buf = append(append((*buf)[:0], left...), right...)
	if p.merged, ok = v.ids[string(*buf)]; !ok {
		return p, fmt.Errorf("there is no token %q", *buf)
	}
	return p, nil
}

// cutMerge cuts at the first space that is not the first character.
func cutMerge(m string) (left, right string, ok bool) {
	if m == "" {
		return "", "", false
	}
	i := strings.IndexByte(m[1:], ' ')
	if i < 0 {
		return "", "", false
	}
	return m[:i+1], m[i+2:], true
}
