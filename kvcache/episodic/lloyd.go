package episodic

// lloyd is k-means on its way (Lloyd 1982). Between steps every cluster has a member, and its centroid is its
// members' mean.
type lloyd struct {
	points    [][]float32 // [n, dim]
	centroids [][]float64 // [k, dim]
	of        []int       // [n]: the cluster of each point, -1 before the first step
	distances []float64   // [n]: squared, from the centroid before the last update
	members   []int       // [k]: how many
}

func newLloyd(points [][]float32, centroids [][]float64) *lloyd {
	l := &lloyd{
		points:    points,
		centroids: centroids,
		of:        make([]int, len(points)),
		distances: make([]float64, len(points)),
		members:   make([]int, len(centroids)),
	}
	for i := range l.of {
		l.of[i] = -1
	}
	return l
}

// step moves points to the nearest centroids and centroids to the mean of their points. It reports whether a point
// moved; the inertia does not increase.
func (l *lloyd) step() bool {
	moved := l.assign()
	l.fill()
	l.update()
	return moved
}

// assign gives every point to the nearest centroid.
func (l *lloyd) assign() bool {
	moved := false
	clear(l.members)
	for i, p := range l.points {
		nearest, least := 0, squaredDistance(p, l.centroids[0])
		for c, centroid := range l.centroids[1:] {
			if d := squaredDistance(p, centroid); d < least {
				nearest, least = c+1, d
			}
		}
		moved = moved || l.of[i] != nearest
		l.of[i], l.distances[i] = nearest, least
		l.members[nearest]++
	}
	return moved
}

// fill gives each cluster without members the point that is farthest from its centroid, and not the only one there.
// Since there are at least as many distinct points as clusters, there is one at some distance.
func (l *lloyd) fill() {
	for c, n := range l.members {
		if n > 0 {
			continue
		}
		farthest := -1
		for i, d := range l.distances {
			if l.members[l.of[i]] > 1 && (farthest < 0 || d > l.distances[farthest]) {
				farthest = i
			}
		}
		if farthest < 0 {
			return
		}
		l.members[l.of[farthest]]--
		l.of[farthest], l.distances[farthest], l.members[c] = c, 0, 1
	}
}

// update moves every centroid to the mean of its members.
func (l *lloyd) update() {
	for _, centroid := range l.centroids {
		clear(centroid)
	}
	for i, p := range l.points {
		centroid := l.centroids[l.of[i]]
		for j, v := range p {
			centroid[j] += float64(v)
		}
	}
	for c, centroid := range l.centroids {
		for j := range centroid {
			centroid[j] /= float64(max(l.members[c], 1))
		}
	}
}

// inertia is the sum of squared distances between points and their centroids.
func (l *lloyd) inertia() float64 {
	var sum float64
	for i, p := range l.points {
		sum += squaredDistance(p, l.centroids[l.of[i]])
	}
	return sum
}

// clusters returns what came out, with clusters numbered by their first members.
func (l *lloyd) clusters() Clusters {
	out := Clusters{Of: make([]int, len(l.of)), Inertia: l.inertia()}
	number := make(map[int]int, len(l.centroids))
	for i, c := range l.of {
		n, ok := number[c]
		if !ok {
			n = len(number)
			number[c] = n
			centroid := make([]float32, len(l.centroids[c]))
			for j, v := range l.centroids[c] {
				centroid[j] = float32(v)
			}
			out.Centroids = append(out.Centroids, centroid)
		}
		out.Of[i] = n
	}
	return out
}
