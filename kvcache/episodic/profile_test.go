package episodic

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func someProfile() *Profile {
	return &Profile{Model: "llama 0123abcd", Sigma: []float64{.9, -.25, 1}, Tokens: 16384, Window: ReleasedWindow, Mask: ProfileMask}
}

func TestProfile(t *testing.T) {
	const want = `{
  "version": 1,
  "model": "llama 0123abcd",
  "sigma": [
    0.9,
    -0.25,
    1
  ],
  "tokens": 16384,
  "similarity_window": 100,
  "mask": {
    "window": 4096,
    "sinks": 128,
    "overlap": 0.5
  }
}
`
	data, err := someProfile().Marshal()
	if err != nil || string(data) != want {
		t.Errorf("got %s, %v", data, err)
	}
	back, err := UnmarshalProfile(data)
	if err != nil || !reflect.DeepEqual(back, someProfile()) {
		t.Errorf("got %+v, %v", back, err)
	}
	if err := back.CheckModel("llama 0123abcd", 3); err != nil {
		t.Error(err)
	}
	if err := back.CheckModel("llama 0123abce", 3); err == nil || !strings.Contains(err.Error(), `not of "llama 0123abce"`) {
		t.Errorf("another model: %v", err)
	}
	if err := back.CheckModel("llama 0123abcd", 4); err == nil || !strings.Contains(err.Error(), "3 layers, the model 4") {
		t.Errorf("another number of layers: %v", err)
	}
}

// Whatever is measured comes back with every bit.
func TestProfileRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Profile{
			Model:  rapid.StringN(1, -1, -1).Draw(t, "model"),
			Sigma:  rapid.SliceOfN(rapid.Float64Range(-1, 1), 1, 50).Draw(t, "sigma"),
			Tokens: rapid.IntRange(1, math.MaxInt).Draw(t, "tokens"),
			Window: rapid.IntRange(1, math.MaxInt).Draw(t, "window"),
			Mask: BlockMask{
				Window:  rapid.IntRange(1, 1<<20).Draw(t, "block"),
				Sinks:   rapid.IntRange(0, 1<<20).Draw(t, "sinks"),
				Overlap: rapid.Float64Range(0, 1).Draw(t, "overlap"),
			},
		}
		data, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := UnmarshalProfile(data)
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Fatalf("got %+v, %v, want %+v", back, err, p)
		}
	})
}

func TestProfileRefuses(t *testing.T) {
	good, err := someProfile().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, by, want string }{
		{`"version": 1`, `"version": 2`, "version 2, this reads version 1"},
		{`"version": 1,`, ``, "without a version"},
		{`"version": 1`, `"version": 2, "new": []`, "version 2"},
		{`"llama 0123abcd"`, `""`, "names no model"},
		{`"llama 0123abcd"`, `7`, "model"},
		{`-0.25`, `-1.25`, "σ of layer 1 is -1.25"},
		{`-0.25`, `NaN`, "invalid character"},
		{`-0.25`, `1e999`, "1e999"},
		{`16384`, `0`, "profile of 0 tokens"},
		{`100`, `-100`, "windows of -100"},
		{`4096`, `0`, "blocks of 0 tokens"},
		{`128`, `-1`, "-1 sinks"},
		{`0.5`, `1.5`, "overlap of 1.5"},
		{`"tokens"`, `"token"`, "token"},
		{"\n}\n", "\n}\n{}", "after top-level value"},
		{"\n}\n", "", "unexpected end"},
	} {
		data := strings.Replace(string(good), c.old, c.by, 1)
		if data == string(good) {
			t.Fatalf("nothing replaced by %q", c.by)
		}
		if _, err := UnmarshalProfile([]byte(data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: error %v, want %q", c.by, c.old, err, c.want)
		}
	}
	for name, change := range map[string]func(*Profile){
		"NaN":       func(p *Profile) { p.Sigma[0] = math.NaN() },
		"no layers": func(p *Profile) { p.Sigma = nil },
		"no model":  func(p *Profile) { p.Model = "" },
		"no mask":   func(p *Profile) { p.Mask = BlockMask{} },
	} {
		p := someProfile()
		change(p)
		if data, err := p.Marshal(); err == nil {
			t.Errorf("%s: written as %s", name, data)
		}
	}
}

// Nothing that is read makes it panic, and what it accepts is valid and comes back the same.
func FuzzUnmarshalProfile(f *testing.F) {
	good, err := someProfile().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"model":"m","sigma":[0],"tokens":1,"similarity_window":1,"mask":{"window":1}}`))
	f.Add([]byte(`{"version":1,"Profile":{"model":"m"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := UnmarshalProfile(data)
		if err != nil {
			return
		}
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		once, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := UnmarshalProfile(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := back.Marshal(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s, then %s, %v", once, twice, err)
		}
	})
}
