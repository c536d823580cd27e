package weights

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
)

// use touches everything that an open file offers, so that a wrong length shows.
func use(f *File) (sum int) {
	for key, value := range f.Metadata().All() {
		sum += len(key) + len(value.String()) + value.Len()
	}
	for _, tensor := range f.Tensors() {
		sum += tensor.Elements() + tensor.Rows()
		for _, b := range tensor.Data {
			sum += int(b)
		}
		if tensor.Elements() > 1<<16 {
			continue
		}
		if values, err := tensor.Float32s(); err == nil {
			sum += len(values)
		}
	}
	return sum
}

func FuzzOpen(f *testing.F) {
	f.Add(allTypes(2).b)
	f.Add(allTypes(3).b)
	for _, c := range broken {
		if len(c.file.b) < 4096 {
			f.Add(c.file.b)
		}
	}
	for _, part := range parts(3) {
		f.Add(part)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		use(file)
		if alignment, err := alignmentOf(file.Metadata()); err != nil || alignment > 1<<16 {
			return // which pads a file to a size of no use here
		}
		again, err := Parse(rewrite(t, file.Metadata(), shortNamed(file.Tensors())))
		if err != nil {
			t.Fatalf("written again it is refused: %v", err)
		}
		if !equalMetadata(file.Metadata(), again.Metadata()) || len(again.Tensors()) > len(file.Tensors()) {
			t.Fatal("written again it is another")
		}
	})
}

// shortNamed leaves out tensors with names that may be read but not written.
func shortNamed(tensors []*Tensor) (short []*Tensor) {
	for _, tensor := range tensors {
		if len(tensor.Name) <= maxNameBytes {
			short = append(short, tensor)
		}
	}
	return short
}

// mutate damages a copy of data: flipped bytes, a cut end, a repeated or removed piece, or a hostile number where a
// length may be.
func mutate(data []byte, rng *rand.Rand) []byte {
	out := append([]byte(nil), data...)
	near := func() int { // in the header, mostly
		if rng.IntN(4) == 0 {
			return rng.IntN(len(out))
		}
		return rng.IntN(min(len(out), 4096))
	}
	for range 1 + rng.IntN(2) {
		if len(out) < 32 {
			break
		}
		switch at := near(); rng.IntN(6) {
		case 0:
			out[at] ^= byte(1 + rng.IntN(255))
		case 1:
			out = out[:rng.IntN(len(out))]
		case 2:
			piece := out[at:min(len(out), at+1+rng.IntN(64))]
			out = append(out[:at:at], append(append([]byte(nil), piece...), out[at:]...)...)
		case 3:
			out = append(out[:at:at], out[min(len(out), at+1+rng.IntN(64)):]...)
		case 4:
			hostile := []uint64{0, 1, 1 << 31, 1 << 32, 1 << 60, 1 << 61, 1 << 63, 1<<64 - 1, uint64(len(out))}
			r := raw{out[:min(at&^3, len(out)-8)]}
			r.u64(hostile[rng.IntN(len(hostile))])
		case 5:
			out[at] = byte(rng.IntN(14)) // a value type or a small length
		}
	}
	return out
}

// TestMutated opens 1,000 damaged files, made from one of our own and, where there is one, a real one: each loads or
// fails with an error.
func TestMutated(t *testing.T) {
	sources := [][]byte{allTypes(3).b}
	if path := filepath.Join(testdata.Root(t), "..", "shared", "models", "stories260K.gguf"); exists(path) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, data)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "mutated.gguf")
	loaded, failed := 0, 0
	for i := range 1000 {
		data := mutate(sources[i%len(sources)], rng)
		writeFile(t, path, data)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, err := Open(path)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(64*len(data)+1<<16) {
			t.Errorf("file %d: %d bytes allocated for %d", i, used, len(data))
		}
		if err != nil {
			failed++
			continue
		}
		loaded++
		use(f)
		if err := f.Close(); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
	}
	if loaded < 50 || failed < 50 {
		t.Errorf("%d files loaded and %d failed: the mutations are too weak or too strong to show anything", loaded, failed)
	}
	t.Logf("%d sources: %d loaded, %d failed", len(sources), loaded, failed)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
