package statefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestSectionsAreAligned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	sections := some()
	save(t, path, sections)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range sections {
		data, _ := f.Section(s.name)
		if len(data) > 0 && uintptr(unsafe.Pointer(&data[0]))%uintptr(s.alignment) != 0 {
			t.Errorf("section %q begins at %p, not at a multiple of %d", s.name, &data[0], s.alignment)
		}
	}
}

func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	save(t, path, some())
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if data, ok := f.Section("tokens"); ok || data != nil {
		t.Error("there is data after Close")
	}
	if len(f.Sections()) != len(some()) {
		t.Error("the list of sections is gone after Close")
	}
}

// TestWritingFaults: what is mapped is not to be written to.
func TestWritingFaults(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("faults are turned into panics in ways that depend on the system")
	}
	path := filepath.Join(t.TempDir(), "state")
	save(t, path, some())
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, _ := f.Section("tokens")
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("writing to a section did not fault")
		}
	}()
	data[0]++
}

// TestReplacedFileStays: an open file is the one that was opened, whatever takes its name.
func TestReplacedFileStays(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows does not replace a file that is open")
	}
	path := filepath.Join(t.TempDir(), "state")
	save(t, path, some())
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	save(t, path, some()[:1])
	checkSections(t, f, some())
}

func refused(t *testing.T, what string, data []byte, is error, want ...string) {
	t.Helper()
	_, err := parse(data)
	if err == nil {
		t.Errorf("%s: accepted", what)
		return
	}
	for _, e := range []error{ErrFormat, ErrVersion, ErrChecksum} {
		if errors.Is(err, e) != (e == is) && is != nil {
			t.Errorf("%s: error %q, want that it is %q alone", what, err, is)
		}
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q does not say %q", what, err, w)
		}
	}
}

// TestEveryByteCounts changes each bit, cuts the file at each length, and extends it.
func TestEveryByteCounts(t *testing.T) {
	good := encode(t, some()[:4])
	for i := range good {
		for bit := range 8 {
			bad := slices.Clone(good)
			bad[i] ^= 1 << bit
			refused(t, fmt.Sprintf("bit %d of byte %d", bit, i), bad, nil)
		}
	}
	for n := headerBytes; n < len(good); n++ {
		refused(t, "a part", good[:n], ErrFormat, fmt.Sprintf("truncated to %d of %d bytes", n, len(good)))
	}
	for n := 1; n < headerBytes; n++ {
		refused(t, "a part", good[:n], ErrFormat, fmt.Sprintf("truncated to %d bytes", n))
	}
	for _, n := range []int{1, 64, 4096} {
		refused(t, "more", append(slices.Clone(good), make([]byte, n)...), ErrFormat, fmt.Sprintf("%d more than were written", n))
	}
}

// TestChunkIsNamed changes bytes of sections that have several chunks: the error tells where.
func TestChunkIsNamed(t *testing.T) {
	good := encode(t, some())
	f, err := parse(good)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, s := range f.Sections() {
		for from := int64(0); from < s.Length; from += chunkBytes {
			to := min(from+chunkBytes, s.Length)
			for _, at := range []int64{from, to - 1} {
				bad := slices.Clone(good)
				bad[s.Offset+at] ^= 0x10
				for _, procs := range []int{1, 4} {
					runtime.GOMAXPROCS(procs)
					refused(t, "a changed byte", bad, ErrChecksum, fmt.Sprintf("section %q: ", s.Name), fmt.Sprintf("bytes %d to %d:", from, to-1))
				}
			}
		}
	}
}

// TestFirstOfSeveralIsNamed: however many threads look, the same error is reported.
func TestFirstOfSeveralIsNamed(t *testing.T) {
	bad := encode(t, some())
	f, err := parse(bad)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Sections()[3:] {
		bad[s.Offset] ^= 1
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	for range 20 {
		refused(t, "several changed bytes", bad, ErrChecksum, `section "one"`)
	}
}

// seal makes the checksums of the header and of the table right, if the header says where a table is.
func seal(data []byte) []byte {
	if len(data) < headerBytes {
		return data
	}
	if at := binary.LittleEndian.Uint64(data[24:]); at <= uint64(len(data)) {
		binary.LittleEndian.PutUint32(data[32:], crc32.Checksum(data[at:], castagnoli))
	}
	binary.LittleEndian.PutUint32(data[headerBytes-4:], crc32.Checksum(data[:headerBytes-4], castagnoli))
	return data
}

// crafted is a list of files whose checksums are right, and which are wrong all the same.
func crafted(t testing.TB) []struct {
	name string
	data []byte
	is   error
	want string
} {
	good := encode(t, []content{{"a", 64, pattern(1, 100)}, {"b", 64, pattern(2, 100)}})
	table := int(binary.LittleEndian.Uint64(good[24:]))
	const one, two = 0, entryBytes + 1 + 4 // the entries in the table
	edit := func(change func(data []byte)) []byte {
		data := slices.Clone(good)
		change(data)
		return seal(data)
	}
	u32 := func(at int, x uint32) []byte {
		return edit(func(data []byte) { binary.LittleEndian.PutUint32(data[at:], x) })
	}
	u64 := func(at int, x uint64) []byte {
		return edit(func(data []byte) { binary.LittleEndian.PutUint64(data[at:], x) })
	}
	return []struct {
		name string
		data []byte
		is   error
		want string
	}{
		{"nothing", nil, ErrFormat, "empty"},
		{"text", []byte("GGUF"), ErrFormat, `begins with "GGUF"`},
		{"long text", make([]byte, 1000), ErrFormat, `begins with "\x00`},
		{"version 0", u32(8, 0), ErrVersion, "unknown version 0: this program reads version 1"},
		{"version 2", u32(8, 2), ErrVersion, "unknown version 2"},
		{"header", edit(func(data []byte) {})[:headerBytes], ErrFormat, "truncated to 64 of"},
		{"no sections", u32(12, 0), ErrFormat, "left over in the table"},
		{"one section", u32(12, 1), ErrFormat, "left over in the table"},
		{"three sections", u32(12, 3), ErrFormat, "section 3 of 3: the table has 0 bytes left"},
		{"all sections", u32(12, math.MaxUint32), ErrFormat, "4294967295 sections"},
		{"length", u64(16, math.MaxUint64), ErrFormat, "truncated to"},
		{"short length", u64(16, 0), ErrFormat, "more than were written"},
		{"table in the header", u64(24, 63), ErrFormat, "said to be at 63"},
		{"table beyond", u64(24, uint64(len(good)+1)), ErrFormat, "said to be at"},
		{"table far beyond", u64(24, math.MaxUint64), ErrFormat, "said to be at"},
		{"table at the end", u64(24, uint64(len(good))), ErrFormat, "section 1 of 2: the table has 0 bytes left"},
		{"reserved", u32(40, 1), ErrFormat, "should have zeros"},
		{"offset in the header", u64(table+one, 0), ErrFormat, `"a" begins at 0 and overlaps`},
		{"overlap", u64(table+two, 128), ErrFormat, `"b" begins at 128 and overlaps what ends at 164`},
		{"same place", u64(table+two, 64), ErrFormat, `"b" begins at 64 and overlaps`},
		{"unaligned", u64(table+two, 193), ErrFormat, `"b": begins at 193, not at 192`},
		{"gap", edit(func(data []byte) {
			binary.LittleEndian.PutUint64(data[table+two:], 256)
			binary.LittleEndian.PutUint64(data[table+two+8:], 64)
		}), ErrFormat, `"b": begins at 256, not at 192`},
		{"offset beyond", u64(table+two, uint64(table)+1), ErrFormat, "data end at"},
		{"offset far beyond", u64(table+two, math.MaxUint64-10), ErrFormat, "data end at"},
		{"length beyond", u64(table+two+8, uint64(table)), ErrFormat, "data end at"},
		{"length overflow", u64(table+two+8, math.MaxUint64-100), ErrFormat, "data end at"},
		{"shorter", u64(table+two+8, 99), ErrFormat, "byte 291 before it is"},
		{"much shorter", u64(table+two+8, 1), ErrFormat, "table of sections: begins at"},
		{"alignment 0", u32(table+one+16, 0), ErrFormat, "alignment 0"},
		{"alignment 96", u32(table+one+16, 96), ErrFormat, "alignment 96"},
		{"alignment 8192", u32(table+one+16, 8192), ErrFormat, "alignment 8192"},
		{"alignment 128", u32(table+one+16, 128), ErrFormat, "begins at 64, not at 128"},
		{"no name", u32(table+one+20, 0), ErrFormat, "name of 0 bytes"},
		{"long name", u32(table+two+20, 200), ErrFormat, "its name and checksums take 204"},
		{"longer name", u32(table+two+20, math.MaxUint32), ErrFormat, "name of 4294967295 bytes"},
		{"same name", edit(func(data []byte) { data[table+two+entryBytes] = 'a' }), ErrFormat, `two sections "a"`},
		{"padding", edit(func(data []byte) { data[165] = 7 }), ErrFormat, `section "b": byte 165 before it is 0x7`},
		{"header's checksum", append(edit(func(data []byte) { data[16] ^= 1 })[:60], good[60:]...), ErrChecksum, "header: "},
		{"table's checksum", append(slices.Clone(good[:table]), make([]byte, len(good)-table)...), ErrChecksum, "table of sections: "},
		{"section's checksum", u32(table+two+entryBytes+1, 0), ErrChecksum, `section "b": `},
	}
}

func TestCraftedFiles(t *testing.T) {
	for _, c := range crafted(t) {
		refused(t, c.name, c.data, c.is, c.want)
	}
}

// TestOpenRefuses opens broken files from the disk, and what is no file.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "broken")
	for _, c := range crafted(t) {
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err == nil {
			f.Close()
			t.Errorf("%s: accepted", c.name)
		} else if !errors.Is(err, c.is) || !strings.HasPrefix(err.Error(), "statefile: "+path+": ") {
			t.Errorf("%s: error %q, want %q and the path", c.name, err, c.is)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder was accepted")
	}
}
