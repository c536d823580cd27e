package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgressOnlyOnATerminal(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		var out strings.Builder
		p := (&app{stderr: &out, terminal: terminal}).newProgress("reading", false)
		p.appear = time.Time{}
		for i := range int64(11) {
			p.set(i, 10)
		}
		p.finish()
		if shown := strings.Contains(out.String(), "reading"); shown != terminal {
			t.Errorf("terminal %v: shown %v: %q", terminal, shown, out.String())
		}
		if strings.Contains(out.String(), "\n") {
			t.Errorf("a line is left: %q", out.String())
		}
	}
}

func TestProgressWaits(t *testing.T) {
	var out strings.Builder
	p := (&app{stderr: &out, terminal: true}).newProgress("reading", true)
	p.set(1, 10)
	p.set(10, 10)
	p.finish()
	p.finish()
	if out.Len() != 0 {
		t.Errorf("printed %q before its time", out.String())
	}
	p.appear = time.Time{}
	p.set(1, 0) // nothing to do
	if out.Len() != 0 {
		t.Errorf("printed %q of nothing", out.String())
	}
}

func TestWatchPrefill(t *testing.T) {
	m := openModel(t, tinyModel(t))
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	(&app{stderr: &out, terminal: true}).watchPrefill(s, 5)()
	(&app{stderr: &out}).watchPrefill(s, 5)()
	if out.Len() != 0 {
		t.Errorf("printed %q at once", out.String())
	}
}
