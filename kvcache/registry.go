package kvcache

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/internal/params"
)

// Kind is one policy as users know it.
type Kind struct {
	Name  string
	Title string // what it keeps, in a few words
	Paper string // where it comes from
	// Ahead says that the policy looks at what the text ends with before it has come to it: at the question, where there
	// is one.
	Ahead bool
	// New makes the policy for a budget of rows per KV head, the least that a layer has.
	New func(p *Params, budget int) Policy
}

// The names of policies that others ask for: the one that keeps every row, and that of a conversation's episodes.
const (
	Full     = "full"
	Episodic = "episodic"
)

// kinds are all policies that drop rows, by name.
var kinds = []Kind{episodicKind, h2o, keyDiff, knorm, kvzip, lfa, lra, sirLLM, snapKV, snapKVQuery, tova, treeKV, window}

// Kinds lists the policies that drop rows, by name.
func Kinds() []Kind { return slices.Clone(kinds) }

// Names lists the names of all policies, the full cache first.
func Names() []string {
	names := []string{Full}
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}

func kindOf(name string) (Kind, error) {
	for _, k := range kinds {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("kvcache: no policy %q (there is: %s)", name, strings.Join(Names(), ", "))
}

// Parameters lists the names of a policy's parameters.
func Parameters(name string) ([]string, error) {
	kind, err := kindOf(name)
	if err != nil {
		return nil, err
	}
	const budget = 1 << 20 // enough for any parameters' fallbacks
	p := params.None(policyOwner, name)
	if err := new(Eviction).bound(kind.Name, p, []int{budget}); err != nil {
		return nil, err
	}
	return p.Known(), nil
}
