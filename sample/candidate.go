package sample

import "slices"

// Candidate is a token that may be chosen.
type Candidate struct {
	ID    int32
	Logit float64
	Prob  float64
}

// before reports whether a comes before b: the greater logit first, of equal ones the lower id. No two candidates of
// one row are equal in this order, so every selection and sort by it has one result.
func before(a, b *Candidate) bool {
	return a.Logit > b.Logit || (a.Logit == b.Logit && a.ID < b.ID)
}

func sortCandidates(list []Candidate) {
	slices.SortFunc(list, compare)
}

func compare(a, b Candidate) int {
	switch {
	case a.Logit > b.Logit:
		return -1
	case a.Logit < b.Logit:
		return 1
	}
	return int(a.ID) - int(b.ID)
}

const (
	smallSelection   = 24 // the length up to which sorting is as quick as selecting
	maxBadPartitions = 8  // how many partitions may go wrong before sorting is the safer way
)

// lopsided reports whether a partition made little progress, which happens by chance once in twelve times.
func lopsided(cut, n int) bool { return min(cut, n-cut) < n/8 }

// selectTop moves the k first candidates of the list, in the order of before, into list[:k], in any order. It is
// quickselect with a median-of-three pivot; when too many partitions go wrong it sorts what is left, so its time is
// O(n) usually and O(n log n) on any input.
func selectTop(list []Candidate, k int) {
	bad := 0
	for k > 0 && k < len(list) {
		if len(list) <= smallSelection || bad > maxBadPartitions {
			sortCandidates(list)
			return
		}
		cut := partition(list)
		if lopsided(cut, len(list)) {
			bad++
		}
		if k < cut {
			list = list[:cut]
		} else {
			list, k = list[cut:], k-cut
		}
	}
}

// partition splits a list of at least three into list[:cut], all of which come before all of list[cut:], and returns
// cut, 0 < cut < len(list).
func partition(list []Candidate) int {
	mid, last := len(list)/2, len(list)-1
	if before(&list[mid], &list[0]) {
		list[mid], list[0] = list[0], list[mid]
	}
	if before(&list[last], &list[0]) {
		list[last], list[0] = list[0], list[last]
	}
	if before(&list[last], &list[mid]) {
		list[last], list[mid] = list[mid], list[last]
	}
	// list[0] and list[last] stop the scans: the pivot lies between them.
	pivot := list[mid]
	i, j := 0, last
	for {
		for i++; before(&list[i], &pivot); i++ {
		}
		for j--; before(&pivot, &list[j]); j-- {
		}
		if i >= j {
			return i
		}
		list[i], list[j] = list[j], list[i]
	}
}

// reach says how much of a list to keep: its shortest beginning, in the order of before, that holds the weight and the
// count, or more than the weight if above is set.
type reach struct {
	weight float64
	above  bool
	count  int
}

func (r reach) met(weight float64, count int) bool {
	return count >= r.count && (weight > r.weight || (weight == r.weight && !r.above))
}

// lastWithin returns the last candidate of the beginning that a reach asks for, the last of all if the whole list does
// not meet it. The list, which is not empty and whose Probs are weights, is reordered. It is quickselect by weight, with
// the bound of selectTop on its time.
func lastWithin(list []Candidate, r reach) Candidate {
	weight, count, bad := 0.0, 0, 0
	for len(list) > smallSelection && bad <= maxBadPartitions {
		cut := partition(list)
		if lopsided(cut, len(list)) {
			bad++
		}
		front := weight
		for i := range list[:cut] {
			front += list[i].Prob
		}
		if r.met(front, count+cut) {
			list = list[:cut]
		} else {
			list, weight, count = list[cut:], front, count+cut
		}
	}
	sortCandidates(list)
	for _, c := range list {
		weight, count = weight+c.Prob, count+1
		if r.met(weight, count) {
			return c
		}
	}
	return list[len(list)-1]
}
