package sample

import "math"

// mirostat is Mirostat 2.0 (Basu et al. 2021, arXiv:2007.14966; version 2 as published with the authors' code): tokens
// whose surprise −log2 p exceeds μ are dropped, one of the rest is drawn, and μ moves so that the surprise approaches τ:
//
//	μ ← μ − η·(surprise − τ), at first μ = 2τ
//
// where, as in llama.cpp, the surprise is that of the token among those kept.
type mirostat struct{ tau, eta float64 }

// choose returns the index of a drawn candidate and updates μ.
func (m *mirostat) choose(p *pool, st *state) int {
	p.weigh()
	bits := st.mu - logPositive(p.total)/math.Ln2
	p.cut(p.shift-float64(bits*math.Ln2), 1)
	chosen := p.draw(st.uniform())
	surprise := -logPositive(p.list[chosen].Prob/p.total) / math.Ln2
	st.mu = limit(st.mu - float64(m.eta*(surprise-m.tau)))
	return chosen
}

// limit keeps μ a number under absurd τ and η.
func limit(mu float64) float64 {
	return max(-math.MaxFloat64, min(math.MaxFloat64, mu))
}
