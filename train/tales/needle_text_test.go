package tales

import "testing"

func TestKindNames(t *testing.T) {
	seen := map[string]bool{}
	for kind := range Kinds {
		name := KindName(kind)
		if name == "" || seen[name] {
			t.Errorf("kind %d is called %q", kind, name)
		}
		seen[name] = true
	}
	if len(kindNames) != Kinds {
		t.Errorf("%d names for %d kinds", len(kindNames), Kinds)
	}
}

func TestMostFacts(t *testing.T) {
	if MostFacts != len(names) {
		t.Errorf("%d facts about %d people", MostFacts, len(names))
	}
}
