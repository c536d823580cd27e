package episodic

import (
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRoute(t *testing.T) {
	nan := float32(math.NaN())
	centroids := [][]float32{{.6, 0}, {.6, .6}, {0, .3}}
	for _, c := range []struct {
		name       string
		query      []float32
		centroids  [][]float32
		rule       Similarity
		episode    int
		similarity float64
	}{
		{"cosine", []float32{1, .1}, centroids, Cosine, 0, 1 / math.Sqrt(1.01)},
		{"dot product prefers the longer centroid", []float32{1, .1}, centroids, DotProduct, 1, .66},
		{"of equals the lower index", []float32{0, 2}, [][]float32{{1, 0}, {0, 1}, {0, 1}}, Cosine, 1, 1},
		{"of equals the lower index", []float32{0, 2}, [][]float32{{1, 0}, {0, 1}, {0, 1}}, DotProduct, 1, 2},
		{"all are opposite", []float32{-1}, [][]float32{{1}, {2}}, Cosine, 0, -1},
		{"all are opposite", []float32{-1}, [][]float32{{2}, {1}}, DotProduct, 1, -1},
		{"a query without direction", []float32{0, 0}, centroids, Cosine, 0, 0},
		{"a centroid without direction", []float32{-1, 0}, [][]float32{{1, 0}, {0, 0}}, Cosine, 1, 0},
		{"another length is passed over", []float32{1, 0}, [][]float32{{1, 0, 0}, {-1, 0}, {1}}, Cosine, 1, -1},
		{"NaN is passed over", []float32{1, 0}, [][]float32{{nan, 0}, {0, 1}}, DotProduct, 1, 0},
		{"NaN everywhere", []float32{nan, 0}, centroids, Cosine, -1, 0},
		{"no centroids", []float32{1}, nil, Cosine, -1, 0},
	} {
		episode, similarity := Route(c.query, c.centroids, c.rule)
		if episode != c.episode || math.Abs(similarity-c.similarity) > 1e-7 {
			t.Errorf("%s: got %d, %v, want %d, %v", c.name, episode, similarity, c.episode, c.similarity)
		}
	}
}

// embed is a bag of words: every word adds one to a dimension that its hash names. The result has length 1.
func embed(text string) []float32 {
	v := make([]float32, 256)
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' }) {
		h := fnv.New32a()
		h.Write([]byte(word))
		v[h.Sum32()%uint32(len(v))]++
	}
	length := float32(math.Sqrt(dot(v, v)))
	for i := range v {
		v[i] /= length
	}
	return v
}

// A question that is a segment's own text goes to that segment's episode, and one in words of its topic too.
func TestQuestionsGoToTheirEpisode(t *testing.T) {
	topics := [][]string{
		{"We hiked the mountain trail to the lake.", "The summit trail had snow and a lake view.", "Our tent on the mountain was cold."},
		{"The guitar needs new strings before the concert.", "Her band plays guitar and drums on stage.", "That concert song has a slow chorus."},
		{"My bread dough has yeast and flour.", "Bake the flour cake in a hot oven.", "The oven burnt the bread crust."},
		{"The doctor prescribed pills for the fever.", "A nurse measured the fever at the clinic.", "The clinic doctor checked my blood."},
	}
	var utterances []Utterance
	var topicOf []int // of each segment
	for round := range 6 {
		for topic, lines := range topics {
			for i := range SegmentWidth {
				utterances = append(utterances, Utterance{Speaker: []string{"Ann", "Bob"}[i%2], Text: lines[(i+round)%len(lines)]})
			}
			topicOf = append(topicOf, topic)
		}
	}
	segments, err := Segments(utterances, SegmentWidth)
	if err != nil {
		t.Fatal(err)
	}
	points := make([][]float32, len(segments))
	for k, s := range segments {
		points[k] = embed(s.Text)
	}
	clusters, err := KMeans(points, Episodes, 42, Restarts)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []Similarity{Cosine, DotProduct} {
		for k, s := range segments {
			if e, _ := Route(embed(s.Text), clusters.Centroids, rule); e != clusters.Of[k] {
				t.Errorf("rule %d: the text of segment %d goes to episode %d, want %d", rule, k, e, clusters.Of[k])
			}
		}
		for topic, question := range []string{
			"Which lake did they see from the mountain?", "Who plays the guitar?", "What burnt in the oven?", "Did the doctor find a fever?",
		} {
			e, _ := Route(embed(question), clusters.Centroids, rule)
			if want := clusters.Of[slices.Index(topicOf, topic)]; e != want {
				t.Errorf("rule %d: %q goes to episode %d, want %d", rule, question, e, want)
			}
		}
	}
}

func TestMedoids(t *testing.T) {
	points := [][]float32{{1, 0}, {0, 5}, {1, 1}, {2, 0}, {1, -1}, {0, 7}, {0, 0}}
	clusters := Clusters{Of: []int{0, 1, 0, 0, 0, 1, 0}, Centroids: [][]float32{{1, 0}, {0, 6}, {}}}
	for _, c := range []struct {
		e, n int
		want []int
	}{
		{0, 1, []int{0}},    // 0 and 3 are alike: the first
		{0, 2, []int{0, 3}}, // not as long, but as near by angle
		{0, 3, []int{0, 2, 3}},
		{0, 4, []int{0, 2, 3, 4}},
		{0, 5, []int{0, 2, 3, 4, 6}},
		{0, 99, []int{0, 2, 3, 4, 6}},
		{0, 0, []int{0, 2, 3, 4, 6}},
		{0, -1, []int{0, 2, 3, 4, 6}},
		{1, 1, []int{1}},
		{2, 1, nil},
		{3, 1, nil},
		{-1, 1, nil},
	} {
		if got := Medoids(points, clusters, c.e, c.n); !slices.Equal(got, c.want) {
			t.Errorf("cluster %d, %d of them: got %v, want %v", c.e, c.n, got, c.want)
		}
	}
	alike := make([][]float32, 50)
	for i := range alike {
		alike[i] = []float32{1, float32(i % 2)}
	}
	if got := Medoids(alike, Clusters{Of: make([]int, 50), Centroids: [][]float32{{1, 1}}}, 0, 4); !slices.Equal(got, []int{1, 3, 5, 7}) {
		t.Errorf("of many alike: %v", got)
	}
	if got := Medoids(points[:2], clusters, 0, 0); !slices.Equal(got, []int{0}) {
		t.Errorf("fewer points than clusters know of: %v", got)
	}
}

// Medoids are members in order, none of the rest is more like the centroid, and n of them contain n−1.
func TestMedoidsAreTheMembersNearestByAngle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		clusters, err := KMeans(points, rapid.IntRange(1, 4).Draw(t, "k"), 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		for e, centroid := range clusters.Centroids {
			all := Medoids(points, clusters, e, 0)
			var last []int
			for n := 1; n <= len(all); n++ {
				some := Medoids(points, clusters, e, n)
				if len(some) != n || !slices.IsSorted(some) {
					t.Fatalf("%d medoids: %v", n, some)
				}
				least := math.Inf(1)
				for _, i := range some {
					if clusters.Of[i] != e {
						t.Fatalf("medoid %d is in cluster %d, not %d", i, clusters.Of[i], e)
					}
					least = min(least, cosine(points[i], centroid))
				}
				for _, i := range all {
					if !slices.Contains(some, i) && cosine(points[i], centroid) > least {
						t.Fatalf("member %d is more like the centroid than one of %v", i, some)
					}
				}
				for _, i := range last {
					if !slices.Contains(some, i) {
						t.Fatalf("%d medoids %v lack one of %v", n, some, last)
					}
				}
				last = some
			}
		}
	})
}
