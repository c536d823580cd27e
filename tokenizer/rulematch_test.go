package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// This is a small regular expression matcher, by backtracking, with the syntax that the rules of pre-tokenizers use:
// alternatives, groups, lookahead, classes, Unicode categories, greedy repetition. It is slow and follows the text of a
// rule literally, which makes it the reference for the scanners.

// matcher matches at i and calls next with the index after the match, for each way to match, until next accepts.
type matcher func(s []rune, i int, next func(i int) bool) bool

// compileRule parses a rule.
func compileRule(rule string) matcher {
	p := &ruleParser{src: []rune(rule)}
	m := p.alternatives()
	if p.at != len(p.src) {
		panic(fmt.Sprintf("rule %q: stray %q at %d", rule, p.src[p.at], p.at))
	}
	return m
}

type ruleParser struct {
	src []rune
	at  int
}

func (p *ruleParser) peek() rune {
	if p.at == len(p.src) {
		return -1
	}
	return p.src[p.at]
}

func (p *ruleParser) take(prefix string) bool {
	if !strings.HasPrefix(string(p.src[p.at:]), prefix) {
		return false
	}
	p.at += len([]rune(prefix))
	return true
}

func (p *ruleParser) alternatives() matcher {
	all := []matcher{p.sequence()}
	for p.take("|") {
		all = append(all, p.sequence())
	}
	return func(s []rune, i int, next func(int) bool) bool {
		for _, m := range all {
			if m(s, i, next) {
				return true
			}
		}
		return false
	}
}

func (p *ruleParser) sequence() matcher {
	m := func(_ []rune, i int, next func(int) bool) bool { return next(i) }
	for p.peek() != -1 && p.peek() != '|' && p.peek() != ')' {
		first, second := m, p.repeated()
		m = func(s []rune, i int, next func(int) bool) bool {
			return first(s, i, func(j int) bool { return second(s, j, next) })
		}
	}
	return m
}

func (p *ruleParser) repeated() matcher {
	m := p.atom()
	switch {
	case p.take("?"):
		return repeat(m, 0, 1)
	case p.take("*"):
		return repeat(m, 0, -1)
	case p.take("+"):
		return repeat(m, 1, -1)
	case p.take("{"):
		end := p.at
		for p.src[end] != '}' {
			end++
		}
		lo, hi, ok := strings.Cut(string(p.src[p.at:end]), ",")
		if !ok {
			hi = lo
		}
		p.at = end + 1
		least, _ := strconv.Atoi(lo)
		most, _ := strconv.Atoi(hi)
		return repeat(m, least, most)
	}
	return m
}

// repeat matches as often as possible, at most `most` times if that is not negative.
func repeat(m matcher, least, most int) matcher {
	var times func(n int) matcher
	times = func(n int) matcher {
		return func(s []rune, i int, next func(int) bool) bool {
			if n != most && m(s, i, func(j int) bool { return j > i && times(n+1)(s, j, next) }) {
				return true
			}
			return n >= least && next(i)
		}
	}
	return times(0)
}

func (p *ruleParser) atom() matcher {
	switch {
	case p.take("(?="):
		return p.lookahead(true)
	case p.take("(?!"):
		return p.lookahead(false)
	case p.take("(?:"):
		return p.group()
	case p.take("("):
		return p.group()
	case p.take("$"):
		return func(s []rune, i int, next func(int) bool) bool { return i == len(s) && next(i) }
	case p.take("["):
		return one(p.class())
	}
	return one(p.single())
}

func (p *ruleParser) group() matcher {
	m := p.alternatives()
	if !p.take(")") {
		panic("group is not closed")
	}
	return m
}

func (p *ruleParser) lookahead(want bool) matcher {
	m := p.group()
	return func(s []rune, i int, next func(int) bool) bool {
		return m(s, i, func(int) bool { return true }) == want && next(i)
	}
}

type runeSet func(r rune) bool

func one(in runeSet) matcher {
	return func(s []rune, i int, next func(int) bool) bool { return i < len(s) && in(s[i]) && next(i+1) }
}

// class parses what follows an opening bracket.
func (p *ruleParser) class() runeSet {
	negated := p.take("^")
	var parts []runeSet
	for !p.take("]") {
		lo, in := p.element()
		if in == nil && p.at+1 < len(p.src) && p.src[p.at] == '-' && p.src[p.at+1] != ']' {
			p.at++
			hi, _ := p.element()
			in = func(r rune) bool { return lo <= r && r <= hi }
		} else if in == nil {
			in = func(r rune) bool { return r == lo }
		}
		parts = append(parts, in)
	}
	return func(r rune) bool {
		for _, in := range parts {
			if in(r) {
				return !negated
			}
		}
		return negated
	}
}

func (p *ruleParser) single() runeSet {
	r, in := p.element()
	if in == nil {
		in = func(x rune) bool { return x == r }
	}
	return in
}

// element parses a character or one of the escapes that stand for a set.
func (p *ruleParser) element() (rune, runeSet) {
	r := p.src[p.at]
	p.at++
	if r != '\\' {
		return r, nil
	}
	r = p.src[p.at]
	p.at++
	switch r {
	case 'r':
		return '\r', nil
	case 'n':
		return '\n', nil
	case 's':
		return 0, unicode.IsSpace
	case 'S':
		return 0, func(r rune) bool { return !unicode.IsSpace(r) }
	case 'p':
		return 0, p.category()
	}
	return r, nil
}

func (p *ruleParser) category() runeSet {
	switch {
	case p.take("{L}"):
		return func(r rune) bool { return unicode.IsLetter(r) || 0x2ebf0 <= r && r <= 0x2ee5d }
	case p.take("{N}"):
		return unicode.IsNumber
	case p.take("{P}"):
		return unicode.IsPunct
	}
	panic("unknown category")
}

// splitByRule cuts a text into the matches of a rule and what lies between them.
func splitByRule(m matcher, text string) []string {
	s := []rune(text)
	for i, r := range s {
		if r >= 0x80 && unicode.IsSpace(r) {
			s[i] = '\v' // whitespace outside ASCII is in no range of characters
		}
	}
	original := []rune(text)
	var pieces []string
	gap := 0
	for i := 0; i < len(s); {
		end := i
		m(s, i, func(j int) bool { end = j; return true })
		if end == i {
			i++
			continue
		}
		if i > gap {
			pieces = append(pieces, string(original[gap:i]))
		}
		pieces = append(pieces, string(original[i:end]))
		i, gap = end, end
	}
	if gap < len(s) {
		pieces = append(pieces, string(original[gap:]))
	}
	return pieces
}
