package sample

import (
	"fmt"
	"slices"
	"strings"
)

// sampler is one link of a chain. It keeps no state of its own: what changes from token to token is in state, so that
// clones share their samplers.
type sampler interface {
	apply(p *pool, s *state)
}

// kind says in which modes a sampler runs.
type kind int

const (
	adjusts   kind = iota // changes logits by what was said before: always
	scales                // spreads or narrows the distribution: not in greedy search
	truncates             // drops tokens: neither in greedy search nor with Mirostat
)

// runsIn reports whether a sampler of this kind belongs into a chain with options o.
func (k kind) runsIn(o *Options) bool {
	switch {
	case o.Greedy():
		return k == adjusts
	case o.Mirostat != 0:
		return k != truncates
	}
	return true
}

// link describes a sampler by its name. build returns nil if the options leave the sampler off.
type link struct {
	name  string
	kind  kind
	build func(o *Options) (sampler, error)
}

// links holds the samplers in their default order.
var links = []link{
	{"penalties", adjusts, newPenalties},
	{"dry", adjusts, newDRY},
	{"top_n_sigma", truncates, newTopNSigma},
	{"top_k", truncates, newTopK},
	{"typ_p", truncates, newTypical},
	{"top_p", truncates, newTopP},
	{"min_p", truncates, newMinP},
	{"xtc", truncates, newXTC},
	{"temperature", scales, newTemperature},
}

// aliases are other names in use, after '-' has become '_'.
var aliases = map[string]string{
	"typ":       "typ_p",
	"typical":   "typ_p",
	"typical_p": "typ_p",
	"nucleus":   "top_p",
	"temp":      "temperature",
}

// DefaultOrder returns the names of all samplers in the order in which they run unless Options.Order says otherwise.
func DefaultOrder() []string {
	names := make([]string, len(links))
	for i, l := range links {
		names[i] = l.name
	}
	return names
}

// resolve finds the links that an order names.
func resolve(order []string) ([]link, error) {
	if order == nil {
		return links, nil
	}
	var chain []link
	for _, name := range order {
		l, ok := find(name)
		if !ok {
			return nil, fmt.Errorf("order: unknown sampler %q, want any of %s", name, strings.Join(DefaultOrder(), ", "))
		}
		if slices.ContainsFunc(chain, func(other link) bool { return other.name == l.name }) {
			return nil, fmt.Errorf("order: sampler %s is listed twice", l.name)
		}
		chain = append(chain, l)
	}
	return chain, nil
}

func find(name string) (link, bool) {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	if other, ok := aliases[name]; ok {
		name = other
	}
	i := slices.IndexFunc(links, func(l link) bool { return l.name == name })
	if i < 0 {
		return link{}, false
	}
	return links[i], true
}

// build makes the samplers of a chain.
func build(o *Options) ([]sampler, error) {
	chain, err := resolve(o.Order)
	if err != nil {
		return nil, err
	}
	var samplers []sampler
	for _, l := range chain {
		if !l.kind.runsIn(o) {
			continue
		}
		s, err := l.build(o)
		if err != nil {
			return nil, err
		}
		if s != nil {
			samplers = append(samplers, s)
		}
	}
	return samplers, nil
}
