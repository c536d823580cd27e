package sample

import "math"

// The ways in which samplers drop tokens. Each leaves at least one.

// top keeps the k ≥ 1 first candidates and, unless they are all, puts them in order.
func (p *pool) top(k int) {
	switch {
	case !p.listed && k < len(p.row):
		p.topOfRow(k)
	case p.listed && k < len(p.list):
		selectTop(p.list, k)
		p.list = p.list[:k]
	default:
		return
	}
	sortCandidates(p.list)
	p.sorted = true
	p.addUp()
}

// leastRoom is how many tokens topOfRow gathers at least before it selects among them.
const leastRoom = 256

// topOfRow lists the k < len(row) greatest logits of the row. It gathers 2k tokens or more above a bar, keeps the best k
// of them and raises the bar to the least of those, which makes it linear for any k and order of the row: after the
// first few thousand tokens hardly any pass the bar. A later token that equals the bar comes after it in order.
func (p *pool) topOfRow(k int) {
	p.listed = true
	room := len(p.row)
	if k < room/2 {
		room = min(room, max(2*k, leastRoom))
	}
	list := reserve(p.list, room)
	bar := float32(math.Inf(-1))
	for id, v := range p.row {
		if !(v > bar) {
			continue
		}
		if len(list) == room {
			selectTop(list, k)
			list = list[:k]
			bar = leastLogit(list)
			if v <= bar {
				continue
			}
		}
		list = append(list, Candidate{ID: int32(id), Logit: float64(v)})
	}
	if len(list) > k {
		selectTop(list, k)
		list = list[:k]
	}
	p.list = list
}

// leastLogit returns the least logit of a list made from a row.
func leastLogit(list []Candidate) float32 {
	least := math.Inf(1)
	for i := range list {
		least = min(least, list[i].Logit)
	}
	return float32(least)
}

// cut drops the tokens whose logit is below a bar, which for a row is above −Inf, but leaves at least the first
// `least` ≥ 1. The order of the list stays.
func (p *pool) cut(bar float64, least int) {
	if p.above(bar) < least {
		p.enlist()
		p.keepFirst(reach{weight: -1, count: least})
		return
	}
	if p.listed {
		kept := p.list[:0]
		for _, c := range p.list {
			if c.Logit >= bar {
				kept = append(kept, c)
			}
		}
		p.list = kept
		p.addUp()
		return
	}
	p.listed = true
	for id, v := range p.row {
		if float64(v) >= bar {
			p.list = append(p.list, Candidate{ID: int32(id), Logit: float64(v)})
		}
	}
}

// keepFirst keeps as many of the first candidates of the list as a reach asks for. The order of the list stays.
func (p *pool) keepFirst(r reach) {
	p.spare = append(reserve(p.spare, len(p.list)), p.list...)
	last := lastWithin(p.spare, r)
	kept := p.list[:0]
	for i := range p.list {
		if c := &p.list[i]; !before(&last, c) {
			kept = append(kept, *c)
		}
	}
	p.list = kept
	p.addUp()
}

// above counts the tokens whose logit is not below a bar.
func (p *pool) above(bar float64) int {
	n := 0
	if p.listed {
		for i := range p.list {
			if p.list[i].Logit >= bar {
				n++
			}
		}
		return n
	}
	for _, v := range p.row {
		if float64(v) >= bar {
			n++
		}
	}
	return n
}

// addUp sets the total again after candidates went.
func (p *pool) addUp() {
	if !p.weighed {
		return
	}
	p.total = 0
	for i := range p.list {
		p.total += p.list[i].Prob
	}
}
