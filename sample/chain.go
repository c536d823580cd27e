package sample

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// ErrNoToken is returned, wrapped, by Sample if no logit is usable: each is NaN or −Inf.
var ErrNoToken = errors.New("no token can be chosen")

// Chain chooses tokens. It is not safe for concurrent use: each session has its own, or a Clone.
type Chain struct {
	greedy   bool
	seed     uint64
	bias     logitBias
	samplers []sampler
	mirostat *mirostat // nil: plain draw

	state    state
	pool     pool
	selected Candidate
	counted  bool // the pool's list holds probabilities, in order
}

// state is what a chain remembers from token to token.
type state struct {
	rng     *rand.ChaCha8
	mu      float64 // Mirostat's μ, bits; NaN without
	history history
	matches []int32 // scratch of dry
}

// New makes a chain. An error names the parameter that is wrong.
func New(o Options) (*Chain, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	bias, err := newLogitBias(o.LogitBias)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	samplers, err := build(&o)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	c := &Chain{greedy: o.Greedy(), seed: o.Seed, bias: bias, samplers: samplers}
	if o.Mirostat != 0 && !c.greedy {
		c.mirostat = &mirostat{o.MirostatTau, o.MirostatEta}
	}
	for _, s := range samplers {
		if w, ok := s.(interface{ window() int }); ok {
			c.state.history.limit = widest(c.state.history.limit, w.window())
		}
	}
	c.Reset()
	return c, nil
}

// Sample chooses a token by one row of logits, indexed by id, which it leaves as it is. It does not Accept the token.
// On an error the chain's state is what it was before.
func (c *Chain) Sample(logits []float32) (int32, error) {
	c.selected, c.counted = Candidate{}, false
	if err := c.load(logits); err != nil {
		c.pool.list, c.pool.row = c.pool.list[:0], nil
		return 0, fmt.Errorf("sample: %w", err)
	}
	for _, s := range c.samplers {
		s.apply(&c.pool, &c.state)
	}
	if c.greedy {
		c.chooseGreatest()
	} else {
		c.choose()
	}
	c.pool.row = nil // the caller's row is not held
	return c.selected.ID, nil
}

func (c *Chain) load(logits []float32) error {
	if err := c.pool.load(logits); err != nil {
		return err
	}
	if err := c.bias.apply(&c.pool); err != nil {
		return err
	}
	return c.pool.check()
}

func (c *Chain) chooseGreatest() {
	id := argmax(c.pool.row)
	c.selected = Candidate{ID: id, Logit: float64(c.pool.row[id]), Prob: 1}
	c.pool.list = append(c.pool.list[:0], c.selected)
	c.counted = true
}

func (c *Chain) choose() {
	p := &c.pool
	var chosen int
	if c.mirostat != nil {
		chosen = c.mirostat.choose(p, &c.state)
	} else {
		p.weigh()
		chosen = p.draw(c.state.uniform())
	}
	c.selected = p.list[chosen]
	c.selected.Prob /= p.total
}

// Selected returns the token that the last Sample chose, with its probability among the candidates that were left: the
// zero Candidate if there was no Sample, or it failed. For its probability under the model see LogProb.
func (c *Chain) Selected() Candidate { return c.selected }

// Candidates returns the distribution that the last Sample drew from, the most probable first: empty if there was no
// Sample, or it failed. The slice is valid until the next Sample.
func (c *Chain) Candidates() []Candidate {
	p := &c.pool
	if !c.counted {
		for i := range p.list {
			p.list[i].Prob /= p.total
		}
		if !p.sorted {
			sortCandidates(p.list)
		}
		c.counted = true
	}
	return p.list
}

// Accept tells the chain that a token was appended to the text, by Sample or by a prompt: the penalties and dry look at
// the tokens accepted last.
func (c *Chain) Accept(id int32) { c.state.history.add(id) }

// Reset forgets the accepted tokens and begins again with the seed.
func (c *Chain) Reset() {
	c.state.rng = newGenerator(c.seed)
	c.state.mu = c.firstMu()
	c.state.history.tokens = c.state.history.tokens[:0]
	c.selected = Candidate{}
	c.pool.list = c.pool.list[:0]
}

// firstMu returns what Mirostat begins with, NaN without Mirostat.
func (c *Chain) firstMu() float64 {
	if c.mirostat == nil {
		return math.NaN()
	}
	return limit(2 * c.mirostat.tau)
}

// Clone returns a chain with the same options that continues from the same state, independently.
func (c *Chain) Clone() *Chain {
	rng := *c.state.rng
	clone := *c
	clone.pool = pool{}
	clone.selected = Candidate{}
	clone.state = state{
		rng:     &rng,
		mu:      c.state.mu,
		history: history{tokens: slices.Clone(c.state.history.kept()), limit: c.state.history.limit},
	}
	return &clone
}
