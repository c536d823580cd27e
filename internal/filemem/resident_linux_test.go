package filemem

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident is what of files is in the memory of this process.
func resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	var sum int64
	for _, m := range regexp.MustCompile(`(?m)^Rss(?:File|Shmem):\s+(\d+) kB$`).FindAllSubmatch(status, -1) {
		n, err := strconv.ParseInt(string(m[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n << 10
	}
	return sum
}

// TestReleaseTakesMemoryBack writes more than what is resident may be: after Release it is not, and reads as it was.
func TestReleaseTakesMemoryBack(t *testing.T) {
	size, piece := 256<<20, 4<<20
	if testing.Short() {
		size = 64 << 20
	}
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	before := resident(t)
	var pieces [][]byte
	for i := range size / piece {
		data := allocate(t, f, piece)
		for at := 0; at < piece; at += 8 {
			binary.LittleEndian.PutUint64(data[at:], uint64(i*piece+at))
		}
		pieces = append(pieces, data)
	}
	if n := resident(t) - before; n < int64(size)*9/10 {
		t.Fatalf("%d bytes became resident by writing %d", n, size)
	}
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
	if n := resident(t) - before; n > int64(size)/10 {
		t.Errorf("%d bytes are still resident after Release, of %d", n, size)
	}
	for i, data := range pieces {
		for at := 0; at < piece; at += 8 {
			if v := binary.LittleEndian.Uint64(data[at:]); v != uint64(i*piece+at) {
				t.Fatalf("byte %d of piece %d holds %#x", at, i, v)
			}
		}
	}
}

// cached is how many bytes of whole pages the system has in memory, mapped by this process or not.
func cached(t testing.TB, data []byte) (n int) {
	t.Helper()
	pages := make([]byte, (len(data)+pageSize-1)/pageSize)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Skip("mincore:", errno)
	}
	for _, p := range pages {
		n += int(p&1) * pageSize
	}
	return n
}

// forget has the system write all of the file to the disk and drop it from memory.
func forget(t testing.TB, f *File) {
	t.Helper()
	if err := f.file.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(f.file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// TestAheadReads has a piece read from the disk that the system had dropped, and no other.
func TestAheadReads(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	data := allocate(t, f, 32<<20)
	for i := range data {
		data[i] = 1
	}
	forget(t, f)
	if n := cached(t, data); n > len(data)/2 {
		t.Skipf("the system keeps %d bytes of %d in memory", n, len(data))
	}
	piece := data[10<<20+1 : 11<<20]
	f.Ahead(piece)
	for end := time.Now().Add(30 * time.Second); cached(t, data[10<<20:11<<20]) < 1<<20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes of %d were read", cached(t, data[10<<20:11<<20]), len(piece))
		}
	}
	if n := cached(t, data); n > len(data)/2 {
		t.Errorf("%d bytes were read for a piece of %d", n, len(piece))
	}
}
