package tokenizer

// finder tells which of a list of strings a text contains, in one pass over the text whatever the strings are: the
// automaton of Aho and Corasick ("Efficient String Matching", 1975).
type finder struct {
	nodes []finderNode // nodes[0] is the root
	first [256]int32   // the children of the root
	count int          // of strings
}

// finderNode stands for a prefix of one or more strings.
type finderNode struct {
	child, sibling int32 // the children of a node are a list; 0 ends it
	fail           int32 // the longest proper suffix that is a node
	shorter        int32 // the longest proper suffix that is a whole string, 0 if there is none
	match          int32 // index of the string that ends here, -1 if none does
	b              byte
}

// newFinder builds the automaton of distinct strings, none empty.
func newFinder(texts []string) *finder {
	f := &finder{nodes: []finderNode{{match: -1}}, count: len(texts)}
	for i, text := range texts {
		f.insert(text, int32(i))
	}
	f.link()
	return f
}

func (f *finder) insert(text string, match int32) {
	at := int32(0)
	for i := range len(text) {
		next := f.child(at, text[i])
		if next == 0 {
			next = int32(len(f.nodes))
			f.nodes = append(f.nodes, finderNode{b: text[i], match: -1, sibling: f.nodes[at].child})
			f.nodes[at].child = next
			if at == 0 {
				f.first[text[i]] = next
			}
		}
		at = next
	}
	f.nodes[at].match = match
}

// child returns the node that b leads to, 0 if there is none.
func (f *finder) child(at int32, b byte) int32 {
	if at == 0 {
		return f.first[b]
	}
	for c := f.nodes[at].child; c != 0; c = f.nodes[c].sibling {
		if f.nodes[c].b == b {
			return c
		}
	}
	return 0
}

// step returns the node of the longest suffix of the text read so far and b.
func (f *finder) step(at int32, b byte) int32 {
	for {
		if next := f.child(at, b); next != 0 || at == 0 {
			return next
		}
		at = f.nodes[at].fail
	}
}

// link finds the suffixes of every node, the short ones first.
func (f *finder) link() {
	queue := make([]int32, 0, len(f.nodes))
	for c := f.nodes[0].child; c != 0; c = f.nodes[c].sibling {
		queue = append(queue, c)
	}
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for c := f.nodes[at].child; c != 0; c = f.nodes[c].sibling {
			n := &f.nodes[c]
			n.fail = f.step(f.nodes[at].fail, n.b)
			n.shorter = n.fail
			if f.nodes[n.fail].match < 0 {
				n.shorter = f.nodes[n.fail].shorter
			}
			queue = append(queue, c)
		}
	}
}

// present returns the indices of the strings that occur in the text, in ascending order.
func (f *finder) present(text string) []int {
	if f.count == 0 {
		return nil
	}
	var seen []bool
	at := int32(0)
	for i := range len(text) {
		if at = f.step(at, text[i]); at == 0 {
			continue
		}
		end := at
		if f.nodes[end].match < 0 {
			end = f.nodes[end].shorter
		}
		if end != 0 && seen == nil {
			seen = make([]bool, f.count)
		}
		// Once a string has been seen, so have the shorter ones that end it.
		for ; end != 0 && !seen[f.nodes[end].match]; end = f.nodes[end].shorter {
			seen[f.nodes[end].match] = true
		}
	}
	return indicesOf(seen)
}

func indicesOf(set []bool) []int {
	var indices []int
	for i, in := range set {
		if in {
			indices = append(indices, i)
		}
	}
	return indices
}
