package attention

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
)

func TestMethods(t *testing.T) {
	for text, index := range map[string]kvcache.Index{
		"full": {}, "chunked": {}, "chunked:chunk=7,window=9,layers=LgGl": {},
		"retrieval":                                           {Summary: kvcache.Mean, Block: 64, Sinks: 64},
		"retrieval:summary=bounds":                            {Summary: kvcache.Bounds, Block: 64, Sinks: 64},
		"retrieval:block=17,sinks=33":                         {Summary: kvcache.Mean, Block: 32, Sinks: 64},
		"retrieval:block=16,sinks=0":                          {Summary: kvcache.Mean, Block: 16},
		"retrieval:summary=clusters":                          {Summary: kvcache.Centroid, Block: 16, Sinks: 16, Segment: 1024},
		"retrieval:local=1048576":                             {Summary: kvcache.Mean, Block: 64, Sinks: 64},
		"retrieval:estimate=0.5,summary=clusters,segment=100": {Summary: kvcache.Centroid, Block: 16, Sinks: 16, Segment: 112},
	} {
		kind, err := KindOf(text)
		if err != nil {
			t.Fatal(err)
		}
		budget := 0
		if kind.Budget {
			budget = 1 << 21
		}
		m, err := NewMethod(text, budget)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if m.Name() != text || m.Index() != index {
			t.Errorf("%s is %s, %+v, want %+v", text, m.Name(), m.Index(), index)
		}
	}
}

func TestMethodsRefused(t *testing.T) {
	for _, c := range []struct {
		text   string
		budget int
		say    string
	}{
		{"", 0, `no method ""`},
		{"sparse", 0, "there is: full, chunked, landmark, retrieval"},
		{"full", 1, "a budget is for landmark and retrieval"},
		{"chunked", 1, "a budget is for landmark and retrieval"},
		{"full:x=1", 0, "has no parameters"},
		{"chunked:layers=", 0, "not key=value"},
		{"chunked:layers=lgx", 0, "as in lllg"},
		{"chunked:chunk=-1", 0, "chunk"},
		{"chunked:window=0", 0, "window"},
		{"chunked:chunk=2147483648", 0, "chunk"},
		{"retrieval:block=0", 4096, "block"},
		{"retrieval:block=1048577", 1 << 40, "block"},
		{"retrieval:segment=64", 4096, "segment: it is for summary=clusters"},
		{"retrieval:summary=bounds,estimate=0", 4096, "estimate: it is for summary=clusters"},
		{"retrieval:summary=clusters,estimate=NaN", 4096, "estimate"},
		{"retrieval:summary=clusters,estimate=1.01", 4096, "estimate"},
		{"retrieval:summary=clusters,segment=33,block=64", 4096, "segment: 48 rows are less than a cluster, which has 64"},
		{"retrieval", 255, "has no room for 64 sinks, the 128 rows that may be in no block yet, and a block of 64"},
		{"retrieval:local=0", 4096, "local"},
		{"landmark:blocks=0", 0, "blocks"},
		{"landmark:blocks=8", 100, "one of the two is enough"},
	} {
		if _, err := NewMethod(c.text, c.budget); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s with a budget of %d: error %v, want %q", c.text, c.budget, err, c.say)
		}
	}
	if _, err := NewMethod("retrieval", 0); !errors.Is(err, errBudget) {
		t.Errorf("no budget: %v", err)
	}
}

func TestParameters(t *testing.T) {
	for name, want := range map[string][]string{
		AllRows: nil, "chunked": {"chunk", "layers", "window"}, "landmark": {"blocks", "local", "memory", "share"},
		"retrieval": {"block", "estimate", "local", "segment", "sinks", "summary"},
	} {
		got, err := Parameters(name)
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	if _, err := Parameters("sparse"); err == nil {
		t.Error("a method that is none has parameters")
	}
}
