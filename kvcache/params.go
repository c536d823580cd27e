package kvcache

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Params are the parameters of one policy, by name. What asks for one takes it out; the first complaint is remembered.
type Params struct {
	policy string
	left   map[string]string
	known  []string
	err    error
}

// Base is the name of the policy in a text that may have parameters, and think behind it.
func Base(text string) (string, error) {
	base, _, _, err := splitPolicy(text)
	name, _, _ := strings.Cut(base, ":")
	return name, err
}

// splitPolicy takes apart POLICY+think:key=value, each with parameters of its own.
func splitPolicy(text string) (base, more string, pruned bool, err error) {
	base, more, pruned = text, "", false
	for i := range len(text) {
		if text[i] == '+' && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') { // not that of 1e+2
			base, more, pruned = text[:i], text[i+1:], true
			break
		}
	}
	if name, _, _ := strings.Cut(base, ":"); name == thinkName {
		return "", "", false, fmt.Errorf("kvcache: %s prunes the keys of rows that a policy keeps: write %s+%s, or another policy in place of %[2]s", thinkName, Full, base)
	}
	if name, _, _ := strings.Cut(more, ":"); pruned && name != thinkName {
		return "", "", false, fmt.Errorf("kvcache: policy %s: nothing called %q can be added to a policy (%s can)", base, name, thinkName)
	}
	return base, more, pruned, nil
}

// parsePolicy takes apart name:key=value,key=value.
func parsePolicy(text string) (name string, p *Params, err error) {
	name, list, given := strings.Cut(text, ":")
	p = &Params{policy: name, left: map[string]string{}}
	if !given {
		return name, p, nil
	}
	for item := range strings.SplitSeq(list, ",") {
		key, value, ok := strings.Cut(item, "=")
		if !ok || key == "" || value == "" {
			return "", nil, fmt.Errorf("kvcache: policy %s: %q is not key=value", name, item)
		}
		if _, twice := p.left[key]; twice {
			return "", nil, fmt.Errorf("kvcache: policy %s: %s is given twice", name, key)
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
		p.err = fmt.Errorf("kvcache: policy %s: %s: %s", p.policy, key, fmt.Sprintf(format, args...))
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

// done returns the first complaint: about a value, or a parameter that nothing asked for.
func (p *Params) done() error {
	if p.err != nil {
		return p.err
	}
	for _, key := range slices.Sorted(maps.Keys(p.left)) {
		if len(p.known) == 0 {
			return fmt.Errorf("kvcache: policy %s has no parameters, and no %s", p.policy, key)
		}
		slices.Sort(p.known)
		return fmt.Errorf("kvcache: policy %s has no parameter %s (it has %s)", p.policy, key, strings.Join(p.known, ", "))
	}
	return nil
}
