package kvcache

import (
	"fmt"
	"strings"

	"github.com/mneme-lm/mneme/internal/params"
)

// Params are the parameters of one policy, by name.
type Params = params.Params

// policyOwner begins what is said of a policy's parameters.
const policyOwner = "kvcache: policy"

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
