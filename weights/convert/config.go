package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// maxSize is the most that a configuration may ask for: beyond any model there is, and small enough that products of two
// fit an int.
const maxSize = 1 << 28

// config reads the members of a JSON object and remembers the first complaint. A member that is null is absent.
type config struct {
	members map[string]json.RawMessage
	read    map[string]bool
	err     error
}

func parseConfig(text []byte) (*config, error) {
	c := &config{read: map[string]bool{}}
	if err := json.Unmarshal(text, &c.members); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	maps.DeleteFunc(c.members, func(_ string, v json.RawMessage) bool { return bytes.Equal(v, []byte("null")) })
	return c, nil
}

func (c *config) fail(name, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("configuration: %s: %s", name, fmt.Sprintf(format, args...))
	}
}

func (c *config) has(name string) bool {
	_, ok := c.members[name]
	return ok
}

// get reads a member into a Go value, and reports whether it is there.
func (c *config) get(name string, value any, what string) bool {
	c.read[name] = true
	text, ok := c.members[name]
	if !ok {
		return false
	}
	if err := json.Unmarshal(text, value); err != nil {
		c.fail(name, "%.50s is not %s", text, what)
		return false
	}
	return true
}

// size reads a whole number from lo to maxSize; a negative fallback makes the member required.
func (c *config) size(name string, lo, fallback int) int {
	var v int64
	if !c.get(name, &v, "a whole number") {
		if fallback < 0 {
			c.fail(name, "missing")
		}
		return fallback
	}
	if v < int64(lo) || v > maxSize {
		c.fail(name, "%d is not between %d and %d", v, lo, maxSize)
	}
	return int(v)
}

// float reads a positive number; a NaN fallback makes the member required.
func (c *config) float(name string, fallback float64) float64 {
	var v float64
	if !c.get(name, &v, "a number") {
		if math.IsNaN(fallback) {
			c.fail(name, "missing")
		}
		return fallback
	}
	if !(v > 0) || v > math.MaxFloat32 {
		c.fail(name, "%v is not a positive number that a float32 holds", v)
	}
	return v
}

func (c *config) text(name, fallback string) string {
	var v string
	if !c.get(name, &v, "a string") {
		return fallback
	}
	return v
}

// finish reports the first complaint, or a member that nobody has asked for.
func (c *config) finish() error {
	if c.err != nil {
		return c.err
	}
	for _, name := range slices.Sorted(maps.Keys(c.members)) {
		if !c.read[name] {
			c.fail(name, "%.50s is not supported", c.members[name])
		}
	}
	return c.err
}
