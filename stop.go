package mneme

import "strings"

// stopFilter holds tokens back as long as their text may turn out to be the beginning of a stop string.
type stopFilter struct {
	stops []string
	held  []Token
	text  string // of the held tokens
	one   [1]Token
}

// add takes the next token and returns those that are free to go. found means that the text has come to a stop string:
// what is returned ends just before it, and the rest is dropped. What is returned holds until the next call.
func (f *stopFilter) add(t Token) (free []Token, found bool) {
	if len(f.stops) == 0 {
		f.one[0] = t
		return f.one[:], false
	}
	f.held = append(f.held, t)
	f.text += t.Text
	if at := f.first(); at >= 0 {
		return f.cut(at), true
	}
	return f.release(len(f.text) - f.partial()), false
}

// first returns where the first stop string begins, -1 if there is none.
func (f *stopFilter) first() int {
	at := -1
	for _, stop := range f.stops {
		if i := strings.Index(f.text, stop); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	return at
}

// partial returns the length of the longest end of the text that begins a stop string.
func (f *stopFilter) partial() int {
	longest := 0
	for _, stop := range f.stops {
		for n := min(len(stop)-1, len(f.text)); n > longest; n-- {
			if strings.HasSuffix(f.text, stop[:n]) {
				longest = n
			}
		}
	}
	return longest
}

// release returns the held tokens whose text lies within the first n bytes.
func (f *stopFilter) release(n int) []Token {
	count, size := 0, 0
	for count < len(f.held) && size+len(f.held[count].Text) <= n {
		size += len(f.held[count].Text)
		count++
	}
	free := f.held[:count:count]
	f.held, f.text = f.held[count:], f.text[size:]
	return free
}

// cut returns the held tokens up to byte n, the last one shortened, and drops the rest.
func (f *stopFilter) cut(n int) []Token {
	free := f.release(n)
	for _, t := range free {
		n -= len(t.Text)
	}
	if n > 0 && len(f.held) > 0 {
		t := f.held[0]
		t.Text = t.Text[:n]
		free = append(free, t)
	}
	f.held, f.text = nil, ""
	return free
}

// rest returns what is still held at the end of the text.
func (f *stopFilter) rest() []Token {
	free := f.held
	f.held, f.text = nil, ""
	return free
}
