package kvcache

import "github.com/mneme-lm/mneme/kernels"

// grouping puts keys from groups that may have fewer together to whole ones, [dim][KeyGroup], and hands them to f.
type grouping struct {
	dim     int
	f       func(first int, keys []float32)
	first   int       // number of the next group's first key
	had     int       // keys of the next group that came already
	pending []float32 // these keys
}

// add takes the first n keys of a group.
func (g *grouping) add(group []float32, n int) {
	if g.had == 0 && n == kernels.KeyGroup {
		g.f(g.first, group)
		g.first += kernels.KeyGroup
		return
	}
	if g.pending == nil {
		g.pending = make([]float32, g.dim*kernels.KeyGroup)
	}
	for from := 0; from < n; {
		some := min(n-from, kernels.KeyGroup-g.had)
		for at := 0; at < len(group); at += kernels.KeyGroup {
			copy(g.pending[at+g.had:at+g.had+some], group[at+from:])
		}
		from, g.had = from+some, g.had+some
		if g.had == kernels.KeyGroup {
			g.end()
		}
	}
}

// end hands out the last group, if there are keys for it.
func (g *grouping) end() {
	if g.had == 0 {
		return
	}
	g.f(g.first, g.pending)
	g.first, g.had = g.first+kernels.KeyGroup, 0
}

// spread makes a group of keys that have only some channels one with all of them: those that are missing are 0.
func spread(group, narrow []float32, channels []int32) {
	clear(group)
	for i, c := range channels {
		copy(group[int(c)*kernels.KeyGroup:][:kernels.KeyGroup], narrow[i*kernels.KeyGroup:])
	}
}
