package fifo

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Gate is how a chunk's summary h and a slot p that is there already become a new slot.
type Gate uint8

// The gates. σ is the logistic function, products of vectors are by element.
const (
	GateGRU    Gate = iota // z, r = σ(W h + U p + b); c = tanh(W h + U(r·p) + b); new = (1−z)·p + z·c (Cho et al. 2014)
	GateSimple             // g = σ(W h + U p + b); new = g·h + (1−g)·p
	GateNone               // new = h
)

// Pooling is how the rows of a chunk become its summaries.
type Pooling uint8

// The kinds of pooling.
const (
	PoolMean  Pooling = iota // the means of as many pieces of the chunk as there are summaries; with one, of all of it
	PoolQuery                // learned queries attend to the rows
)

// Previous is which slot p the gate mixes a summary with; without one yet, zeros.
type Previous uint8

// Which slots there are to mix with: where a chunk has several, each goes with the one of its own number.
const (
	PreviousNewest Previous = iota // of the chunk before
	PreviousOldest                 // of the oldest chunk in the bank, which the new one drops once the bank is full
	PreviousMean                   // the mean over the chunks in the bank
)

var (
	gateNames     = []string{"gru", "simple", "none"}
	poolingNames  = []string{"mean", "query"}
	previousNames = []string{"newest", "oldest", "mean"}
)

// String returns the gate's name in metadata.
func (g Gate) String() string { return name(gateNames, uint8(g)) }

// String returns the pooling's name in metadata.
func (p Pooling) String() string { return name(poolingNames, uint8(p)) }

// String returns the name in metadata.
func (p Previous) String() string { return name(previousNames, uint8(p)) }

// ParseGate is the inverse of Gate.String.
func ParseGate(s string) (Gate, error) {
	i, err := parse("gate", gateNames, s)
	return Gate(i), err
}

// ParsePooling is the inverse of Pooling.String.
func ParsePooling(s string) (Pooling, error) {
	i, err := parse("pooling", poolingNames, s)
	return Pooling(i), err
}

// ParsePrevious is the inverse of Previous.String.
func ParsePrevious(s string) (Previous, error) {
	i, err := parse("previous slot", previousNames, s)
	return Previous(i), err
}

func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("kind(%d)", i)
}

func parse(what string, names []string, s string) (int, error) {
	i := slices.Index(names, s)
	if i < 0 {
		return 0, fmt.Errorf("fifo: unknown %s %q (known: %s)", what, s, strings.Join(names, ", "))
	}
	return i, nil
}

// Config is the shape of a layer's memory. All switches are this project's.
type Config struct {
	Dim      int // of a row of the text, and of a slot
	Chunk    int // rows of a chunk
	Slots    int // of the bank, a multiple of PerChunk
	PerChunk int // slots that a chunk is summarized in
	Gate     Gate
	Pooling  Pooling
	Previous Previous
	Heads    int     // that read
	HeadDim  int     // of a head's query and of what it reads
	Scale    float32 // of the inner products of queries and keys: 1, or 1/√HeadDim
	Epsilon  float32 // of the norms, where there are some
}

// maxSize bounds each size, so that products of two fit 64 bits, which is what Check counts in. maxValues bounds what a bank may
// hold, so that its values can be counted in an int of 32 bits.
const (
	maxSize   = 1 << 24
	maxValues = 1 << 28
)

// Check says what is wrong with a configuration.
func (c *Config) Check() error {
	for _, x := range []struct {
		name  string
		value int
	}{{"width", c.Dim}, {"rows of a chunk", c.Chunk}, {"slots", c.Slots}, {"slots of a chunk", c.PerChunk}, {"heads", c.Heads}, {"width of a head", c.HeadDim}} {
		if x.value < 1 || x.value > maxSize {
			return fmt.Errorf("fifo: %s: %d is not between 1 and %d", x.name, x.value, maxSize)
		}
	}
	switch {
	case c.Slots%c.PerChunk != 0:
		return fmt.Errorf("fifo: a bank of %d slots does not hold whole chunks of %d slots", c.Slots, c.PerChunk)
	case c.Pooling == PoolMean && c.Chunk%c.PerChunk != 0:
		return fmt.Errorf("fifo: chunks of %d rows cannot be cut into %d equal pieces", c.Chunk, c.PerChunk)
	case int(c.Gate) >= len(gateNames) || int(c.Pooling) >= len(poolingNames) || int(c.Previous) >= len(previousNames):
		return fmt.Errorf("fifo: unknown gate %v, pooling %v or previous slot %v", c.Gate, c.Pooling, c.Previous)
	case !(c.Scale > 0) || math.IsInf(float64(c.Scale), 0):
		return fmt.Errorf("fifo: scale %v of the reads is not a positive number", c.Scale)
	case !(c.Epsilon >= 0) || math.IsInf(float64(c.Epsilon), 0):
		return fmt.Errorf("fifo: norm epsilon %v", c.Epsilon)
	case int64(c.Heads)*int64(c.HeadDim) > maxSize || c.values() > maxValues:
		return fmt.Errorf("fifo: a bank of %d slots and chunks of %d rows of %d values, read by %d heads of %d, is too large", c.Slots, c.Chunk, c.Dim, c.Heads, c.HeadDim)
	}
	return nil
}

// values is how many values a bank with projections has.
func (c *Config) values() int64 {
	return 2*int64(c.Slots+c.Chunk)*int64(c.Dim) + 2*int64(c.Slots)*int64(c.Width())
}

// Width is the width of the queries of all heads, and of what they read.
func (c *Config) Width() int { return c.Heads * c.HeadDim }

// Matrices is the number of matrices that the gate has on each side.
func (g Gate) Matrices() int {
	switch g {
	case GateGRU:
		return 3
	case GateSimple:
		return 1
	}
	return 0
}
