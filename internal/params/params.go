// Package params reads the parameters of a method that is chosen by a text: name:key=value,key=value.
package params

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Params are the parameters of one method, by name. What asks for one takes it out; the first complaint is remembered.
type Params struct {
	owner string // what has them, for errors
	left  map[string]string
	known []string
	err   error
}

// None are the parameters of a method for which none are given.
func None(owner, name string) *Params {
	return &Params{owner: owner + " " + name, left: map[string]string{}}
}

// Parse takes apart name:key=value,key=value. owner says in errors what the name is one of: "kvcache: policy".
func Parse(owner, text string) (name string, p *Params, err error) {
	name, list, given := strings.Cut(text, ":")
	p = None(owner, name)
	if !given {
		return name, p, nil
	}
	for item := range strings.SplitSeq(list, ",") {
		key, value, ok := strings.Cut(item, "=")
		if !ok || key == "" || value == "" {
			return "", nil, fmt.Errorf("%s: %q is not key=value", p.owner, item)
		}
		if _, twice := p.left[key]; twice {
			return "", nil, fmt.Errorf("%s: %s is given twice", p.owner, key)
		}
		p.left[key] = value
	}
	return name, p, nil
}

func (p *Params) take(key string) (value string, ok bool) {
	p.known = append(p.known, key)
	value, ok = p.left[key]
	delete(p.left, key)
	return value, ok
}

// Fail complains about a parameter.
func (p *Params) Fail(key, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s: %s: %s", p.owner, key, fmt.Sprintf(format, args...))
	}
}

// Int takes a whole number from least to most.
func (p *Params) Int(key string, fallback, least, most int) int {
	text, ok := p.take(key)
	if !ok {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		p.Fail(key, "%q is not a whole number from %d to %d", text, least, most)
		return fallback
	}
	return n
}

// Float takes a number from least to most.
func (p *Params) Float(key string, fallback, least, most float64) float64 {
	text, ok := p.take(key)
	if !ok {
		return fallback
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= least && x <= most) || math.IsInf(x, 0) {
		p.Fail(key, "%q is not a number from %g to %g", text, least, most)
		return fallback
	}
	return x
}

// Word takes one of several words; the first one is the fallback.
func (p *Params) Word(key string, words ...string) string {
	text, ok := p.take(key)
	if !ok {
		return words[0]
	}
	if !slices.Contains(words, text) {
		p.Fail(key, "%q is none of %s", text, strings.Join(words, ", "))
		return words[0]
	}
	return text
}

// Text takes any text.
func (p *Params) Text(key, fallback string) string {
	if text, ok := p.take(key); ok {
		return text
	}
	return fallback
}

// Only takes parameters that have a meaning only with another one, which is not so: it complains if they are given.
func (p *Params) Only(with string, keys ...string) {
	for _, key := range keys {
		if _, given := p.take(key); given {
			p.Fail(key, "it is for %s", with)
		}
	}
}

// Done returns the first complaint: about a value, or a parameter that nothing asked for.
func (p *Params) Done() error {
	if p.err != nil {
		return p.err
	}
	if len(p.left) == 0 {
		return nil
	}
	key := slices.Min(slices.Collect(maps.Keys(p.left)))
	if len(p.known) == 0 {
		return fmt.Errorf("%s has no parameters, and no %s", p.owner, key)
	}
	slices.Sort(p.known)
	return fmt.Errorf("%s has no parameter %s (it has %s)", p.owner, key, strings.Join(p.known, ", "))
}

// Known lists the parameters that were asked for.
func (p *Params) Known() []string { return slices.Clone(p.known) }
