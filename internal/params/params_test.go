package params

import (
	"slices"
	"strings"
	"testing"
)

func TestParams(t *testing.T) {
	name, p, err := Parse("test: method", "name:n=7,x=0.5,w=b,t=any=thing")
	if err != nil || name != "name" {
		t.Fatal(name, err)
	}
	if n, x, w, s := p.Int("n", 1, 0, 9), p.Float("x", 1, 0, 1), p.Word("w", "a", "b"), p.Text("t", ""); n != 7 || x != .5 || w != "b" || s != "any=thing" {
		t.Errorf("%v %v %v %q", n, x, w, s)
	}
	if n, x, w, s := p.Int("m", 3, 0, 9), p.Float("y", 2, 0, 1), p.Word("v", "a", "b"), p.Text("u", "none"); n != 3 || x != 2 || w != "a" || s != "none" {
		t.Errorf("fallbacks %v %v %v %q", n, x, w, s)
	}
	if err := p.Done(); err != nil {
		t.Error(err)
	}
	if got, want := p.Known(), []string{"n", "x", "w", "t", "m", "y", "v", "u"}; !slices.Equal(got, want) {
		t.Errorf("known %v, want %v", got, want)
	}
	if name, p, err := Parse("test: method", "bare"); name != "bare" || err != nil || p.Done() != nil {
		t.Error(name, err)
	}
}

func TestParamsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"name:":                `"" is not key=value`,
		"name:n":               `"n" is not key=value`,
		"name:n=":              "is not key=value",
		"name:=3":              "is not key=value",
		"name:n=1,n=2":         "n is given twice",
		"name:n=10":            `n: "10" is not a whole number from 0 to 9`,
		"name:n=1.5":           "not a whole number",
		"name:x=nan":           "not a number from 0 to 1",
		"name:x=inf":           "not a number from 0 to 1",
		"name:w=c":             `w: "c" is none of a, b`,
		"name:z=1":             "no parameter z (it has n, w, x)",
		"name:n=99,x=9,w=none": "n:", // the first complaint
	} {
		_, p, err := Parse("test: method", text)
		if err == nil {
			p.Int("n", 1, 0, 9)
			p.Float("x", 0, 0, 1)
			p.Word("w", "a", "b")
			err = p.Done()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "test: method name") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := func() error { _, p, _ := Parse("test: method", "none:a=1"); return p.Done() }(); err == nil || !strings.Contains(err.Error(), "has no parameters, and no a") {
		t.Errorf("parameters of a method without: %v", err)
	}
}
