package statefile

import (
	"errors"
	"path/filepath"
	"testing"
)

// benchBytes is the size of a session of some thousand tokens of a small model.
const benchBytes = 256 << 20

// BenchmarkWrite writes a file of one large section, with and without having the disk take it.
func BenchmarkWrite(b *testing.B) {
	piece := pattern(1, 1<<20)
	write := func(w *Writer) error {
		err := w.Section("keys", MaxAlignment)
		for range benchBytes / len(piece) {
			if _, writeErr := w.Write(piece); writeErr != nil {
				return writeErr
			}
		}
		return err
	}
	path := filepath.Join(b.TempDir(), "state")
	for _, c := range []struct {
		name string
		end  func(*Writer) error
	}{{"abort", (*Writer).Abort}, {"commit", (*Writer).Commit}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(benchBytes)
			for b.Loop() {
				w, err := Create(path)
				if err != nil {
					b.Fatal(err)
				}
				if err := errors.Join(write(w), c.end(w)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen maps and checks a file that lies in the system's cache.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state")
	save(b, path, []content{{"keys", MaxAlignment, pattern(1, benchBytes)}})
	b.SetBytes(benchBytes)
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is what of that is not the system's: the checksums of bytes that are mapped already.
func BenchmarkVerify(b *testing.B) {
	data := encode(b, []content{{"keys", MaxAlignment, pattern(1, benchBytes)}})
	b.SetBytes(benchBytes)
	for b.Loop() {
		if _, err := parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
