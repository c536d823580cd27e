package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestRepack: the same text comes out, and what there is no other layout for is told.
func TestRepack(t *testing.T) {
	for _, typ := range []string{"q4_0", "f16"} {
		path := filepath.Join(t.TempDir(), typ+".gguf")
		succeed(t, "synth", "llama-tiny", path, "--type", typ)
		want := openModel(t, path).Repacking()
		if typ == "f16" && want.Bytes != 0 || want.Bytes+want.Stored == 0 {
			t.Fatalf("%s: %+v", typ, want)
		}
		check := func(args ...string) string {
			t.Helper()
			r := infer(append(args, "-m", path, "--repack")...)
			if r.code != exitSuccess || (r.stderr != "") != (want.Stored > 0) {
				t.Fatalf("%v: exit %d, stderr %q, %d bytes stay as they are", args, r.code, r.stderr, want.Stored)
			}
			if want.Stored > 0 && (!strings.Contains(r.stderr, "--repack") || !strings.Contains(r.stderr, want.Types[0].String())) {
				t.Errorf("%v: stderr %q does not name the type", args, r.stderr)
			}
			return r.stdout
		}
		args := []string{"run", "-p", "the cat", "-n", "20", "--ignore-eos", "--seed", "3"}
		if got, plain := check(args...), succeed(t, append(args, "-m", path)...); got != plain || got == "" {
			t.Errorf("%s: wrote %q, without --repack %q", typ, got, plain)
		}
		plain := decode[planJSON](t, succeed(t, "plan", "--ctx", "100", "--json", "-m", path))
		r := decode[planJSON](t, check("plan", "--ctx", "100", "--json"))
		if *r.Repacked != want.Bytes || *r.Stored != want.Stored || r.Total != plain.Total+want.Bytes {
			t.Errorf("%s: %d bytes repacked and %d not, %d in all; want %+v, and %d more", typ, *r.Repacked, *r.Stored, r.Total, want, plain.Total)
		}
		if out := check("plan", "--ctx", "100"); !strings.Contains(out, "repacked") {
			t.Errorf("printed %q", out)
		}
	}
}
