package statefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// memory is an output that keeps what is written, as much as limit allows.
type memory struct {
	data      []byte
	limit     int
	committed bool
	aborted   bool
}

var errFull = errors.New("the disk is full")

func (m *memory) Write(p []byte) (int, error) {
	n := min(len(p), m.limit-len(m.data))
	m.data = append(m.data, p[:n]...)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, offset int64) (int, error) { return copy(m.data[offset:], p), nil }

func (m *memory) Commit() error {
	m.committed = true
	return nil
}

func (m *memory) Abort() error {
	m.aborted = true
	return nil
}

// content is what a test puts into a section.
type content struct {
	name      string
	alignment int
	data      []byte
}

// pattern returns n bytes that differ from those of other seeds, and from themselves shifted.
func pattern(seed uint64, n int) []byte {
	data := make([]byte, (n+7)/8*8)
	for i := 0; i < len(data); i += 8 {
		x := (seed<<32 + uint64(i) + 1) * 0x9e3779b97f4a7c15
		binary.LittleEndian.PutUint64(data[i:], x^x>>29)
	}
	return data[:n]
}

// some is a file with sections of all kinds: without data, of one byte, of a chunk, of more than one.
func some() []content {
	return []content{
		{"tokens", 64, pattern(1, 1000)},
		{"nothing", 64, nil},
		{"keys of layer 0", 4096, pattern(2, 4096)},
		{"one", 128, pattern(3, 1)},
		{"a chunk", 64, pattern(4, chunkBytes)},
		{"\x00\xff", 2048, pattern(5, 63)},
		{"chunks", 4096, pattern(6, 2*chunkBytes+77)},
		{strings.Repeat("n", maxNameBytes), 64, pattern(7, 64)},
	}
}

func fill(w *Writer, sections []content) error {
	for _, s := range sections {
		if err := w.Section(s.name, s.alignment); err != nil {
			return err
		}
		if _, err := w.Write(s.data); err != nil {
			return err
		}
	}
	return nil
}

// encode returns the bytes of a file.
func encode(t testing.TB, sections []content) []byte {
	t.Helper()
	m := &memory{limit: math.MaxInt}
	w := newWriter(m, "memory")
	if err := errors.Join(fill(w, sections), w.Commit()); err != nil {
		t.Fatal(err)
	}
	if !m.committed || m.aborted {
		t.Fatal("Commit did not commit")
	}
	return m.data
}

func save(t testing.TB, path string, sections []content) {
	t.Helper()
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fill(w, sections), w.Commit()); err != nil {
		t.Fatal(err)
	}
}

func checkSections(t rapid.TB, f *File, want []content) {
	t.Helper()
	list := f.Sections()
	if len(list) != len(want) {
		t.Fatalf("%d sections, want %d", len(list), len(want))
	}
	for i, s := range want {
		data, ok := f.Section(s.name)
		if !ok || !bytes.Equal(data, s.data) || cap(data) != len(data) {
			t.Errorf("section %q: %v, %d bytes (room for %d), want %d", s.name, ok, len(data), cap(data), len(s.data))
		}
		got := list[i]
		if got.Name != s.name || got.Alignment != s.alignment || got.Length != int64(len(s.data)) || got.Offset%int64(s.alignment) != 0 {
			t.Errorf("section %q is listed as %+v", s.name, got)
		}
	}
	if _, ok := f.Section("absent"); ok {
		t.Error("there is a section that nobody wrote")
	}
}

// castagnoliOf is CRC-32C bit by bit: the reversed polynomial 0x82f63b78, begun and ended with all bits flipped.
func castagnoliOf(data []byte) uint32 {
	sum := ^uint32(0)
	for _, b := range data {
		sum ^= uint32(b)
		for range 8 {
			sum = sum>>1 ^ 0x82f63b78*(sum&1)
		}
	}
	return ^sum
}

// build appends numbers of the given widths and bytes, little endian.
func build(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, p)
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, p)
		}
	}
	return b
}

// TestFileBytes compares a file with the bytes that the format asks for, put together by hand.
func TestFileBytes(t *testing.T) {
	table := build(
		uint64(64), uint64(9), uint32(64), uint32(6), "digits",
		uint32(0xe3069283), // the check value of CRC-32C
		uint64(256), uint64(32), uint32(256), uint32(5), "zeros",
		uint32(0x8a9136aa)) // RFC 3720, B.4
	head := build("\x89MNS\r\n\x1a\n", uint32(1), uint32(2), uint64(320+len(table)), uint64(320), castagnoliOf(table), make([]byte, 24))
	data := build("123456789", make([]byte, 320-64-9))
	want := build(head, castagnoliOf(head), data, table)
	got := encode(t, []content{{"digits", 64, []byte("123456789")}, {"zeros", 256, make([]byte, 32)}})
	if !bytes.Equal(got, want) {
		t.Errorf("got\n% x\nwant\n% x", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, sections := range [][]content{nil, some()[1:2], some()[:1], some()} {
		save(t, path, sections)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		checkSections(t, f, sections)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPiecesDoNotMatter writes sections in pieces of any size: the file is the one that they give as wholes.
func TestPiecesDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &memory{limit: math.MaxInt}
		w := newWriter(m, "memory")
		var sections []content
		for i := range rapid.IntRange(0, 5).Draw(t, "sections") {
			size := rapid.OneOf(rapid.IntRange(0, 5000), rapid.IntRange(chunkBytes-70, chunkBytes+70)).Draw(t, "bytes")
			s := content{fmt.Sprint("section ", i), 64 << rapid.IntRange(0, 6).Draw(t, "alignment"), pattern(uint64(i), size)}
			sections = append(sections, s)
			if err := w.Section(s.name, s.alignment); err != nil {
				t.Fatal(err)
			}
			for left := s.data; len(left) > 0; {
				n := rapid.IntRange(0, max(len(left), 1<<16)).Draw(t, "piece")
				n = min(n, len(left))
				if k, err := w.Write(left[:n]); err != nil || k != n {
					t.Fatal(k, err)
				}
				left = left[n:]
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		f, err := parse(m.data)
		if err != nil {
			t.Fatal(err)
		}
		checkSections(t, f, sections)
		whole := &memory{limit: math.MaxInt}
		w = newWriter(whole, "memory")
		if err := errors.Join(fill(w, sections), w.Commit()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.data, whole.data) {
			t.Error("the same sections, written in pieces, give another file")
		}
	})
}

// TestWriterKeepsNothing streams a section that is larger than what may be allocated.
func TestWriterKeepsNothing(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Section("large", MaxAlignment); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated to write %d", n, 64<<20)
	}
}

func TestWriterRefuses(t *testing.T) {
	section := func(name string, alignment int) func(*Writer) error {
		return func(w *Writer) error { return w.Section(name, alignment) }
	}
	for _, c := range []struct {
		name, want string
		do         func(*Writer) error
	}{
		{"no name", "name of 0 bytes", section("", 64)},
		{"long name", "name of 256 bytes", section(strings.Repeat("n", maxNameBytes+1), 64)},
		{"same name", `section "tokens": is there already`, section("tokens", 64)},
		{"no alignment", "alignment 0", section("x", 0)},
		{"small alignment", "alignment 32", section("x", 32)},
		{"odd alignment", "alignment 192", section("x", 192)},
		{"large alignment", "alignment 8192", section("x", 8192)},
		{"negative alignment", "alignment", section("x", -64)},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkSticky(t, c.want, func(w *Writer) error { return errors.Join(fill(w, some()[:1]), c.do(w)) })
		})
	}
	t.Run("no section", func(t *testing.T) {
		checkSticky(t, "before the first section", func(w *Writer) error {
			_, err := w.Write([]byte{1})
			return err
		})
	})
}

// checkSticky has do fail: everything after it must fail in the same way, and leave the old file alone.
func checkSticky(t *testing.T, want string, do func(*Writer) error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	old := some()[:3]
	save(t, path, old)
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	first := do(w)
	if first == nil || !strings.Contains(first.Error(), want) || !strings.Contains(first.Error(), path) {
		t.Fatalf("error %v, want %q about %s", first, want, path)
	}
	_, writeErr := w.Write([]byte{1})
	for i, err := range []error{w.Section("sound", 64), writeErr, w.Commit()} {
		if err == nil || err.Error() != first.Error() {
			t.Errorf("call %d after the error: %v, want %v", i, err, first)
		}
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	checkSections(t, f, old)
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("the folder holds %v (%v), want the file alone", list, err)
	}
}

// TestDiskFull lets the disk end at many places: Commit must say so and not commit.
func TestDiskFull(t *testing.T) {
	sections := some()[:4]
	size := len(encode(t, sections))
	for limit := range size {
		m := &memory{limit: limit}
		w := newWriter(m, "memory")
		_ = fill(w, sections)
		if err := w.Commit(); !errors.Is(err, errFull) || m.committed || !m.aborted {
			t.Fatalf("%d of %d bytes: %v, committed %v, aborted %v", limit, size, err, m.committed, m.aborted)
		}
	}
	large := bytes.Repeat([]byte{1}, 1<<20) // which passes the buffer by
	w := newWriter(&memory{limit: 1000}, "memory")
	if err := w.Section("large", 64); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(large); !errors.Is(err, errFull) || !strings.Contains(err.Error(), `"large"`) {
		t.Errorf("error %v, want that of a full disk, about the section", err)
	}
}

func TestAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*Writer) error{"Commit": (*Writer).Commit, "Abort": (*Writer).Abort} {
		w := newWriter(&memory{limit: 1 << 20}, "memory")
		if err := errors.Join(fill(w, some()[:1]), end(w)); err != nil {
			t.Fatal(err)
		}
		_, writeErr := w.Write(nil)
		for i, err := range []error{w.Section("x", 64), writeErr, w.Commit()} {
			if !errors.Is(err, errDone) {
				t.Errorf("call %d after %s: %v", i, name, err)
			}
		}
		if err := w.Abort(); err != nil {
			t.Errorf("Abort after %s: %v", name, err)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	if w, err := Create(t.TempDir()); err == nil {
		w.Abort()
		t.Error("a folder was accepted")
	} else if !strings.HasPrefix(err.Error(), "statefile: ") {
		t.Error(err)
	}
}

var _ io.Writer = (*Writer)(nil)
