package filemem

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// TestAllocate allocates pieces of all sizes, more than an extent holds: they are zeros, aligned, and nobody else's.
func TestAllocate(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	var pieces [][]byte
	var bytes int64
	for _, n := range []int{1, Alignment - 1, Alignment, Alignment + 1, 5 << 20, leastExtent - 8<<20, 7, leastExtent + 1, 3 << 20, 0, leastExtent} {
		piece := allocate(t, f, n)
		if len(piece) != n || cap(piece) != n {
			t.Fatalf("%d bytes with room for %d, want %d", len(piece), cap(piece), n)
		}
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(piece))); at%Alignment != 0 {
			t.Errorf("%d bytes begin at %#x", n, at)
		}
		if slices.ContainsFunc(piece, func(b byte) bool { return b != 0 }) {
			t.Errorf("%d bytes are not all zero", n)
		}
		for i := range piece {
			piece[i] = byte(len(pieces) + 1)
		}
		pieces = append(pieces, piece)
		bytes += int64(n+Alignment-1) / Alignment * Alignment
	}
	for k, piece := range pieces {
		if i := slices.IndexFunc(piece, func(b byte) bool { return b != byte(k+1) }); i >= 0 {
			t.Errorf("byte %d of piece %d was written to by another", i, k)
		}
	}
	if f.Bytes() != bytes {
		t.Errorf("%d bytes are counted, want %d", f.Bytes(), bytes)
	}
	if piece, err := f.Allocate(-1); err == nil {
		t.Errorf("%d bytes for -1", len(piece))
	}
}

// TestReserve reserves at random and allocates as much in pieces of any size: the file must not grow for them, since what
// was reserved is there.
func TestReserve(t *testing.T) {
	create(t, filepath.Join(t.TempDir(), "probe"))
	rapid.Check(t, func(rt *rapid.T) {
		f, err := Create(filepath.Join(t.TempDir(), "kv"))
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		for range rapid.IntRange(1, 8).Draw(rt, "rounds") {
			left := int64(rapid.IntRange(0, 20_000).Draw(rt, "pages")) * Alignment
			if err := f.Reserve(left); err != nil {
				rt.Fatal(err)
			}
			size := f.size
			for left > 0 {
				n := min(left, int64(rapid.IntRange(1, 16<<20).Draw(rt, "bytes")))
				if _, err := f.Allocate(int(n)); err != nil {
					rt.Fatal(err)
				}
				left -= (n + Alignment - 1) / Alignment * Alignment
			}
			if f.size != size {
				rt.Fatalf("the file grew from %d to %d bytes for what was reserved", size, f.size)
			}
		}
	})
}

// TestReserveRefuses asks for more than there can be: the file is as it was, and of use.
func TestReserveRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	f := create(t, path)
	for round := range 2 {
		size := f.size
		for _, n := range []int64{1 << 60, 1 << 50, math.MaxInt64, math.MaxInt64 - size} {
			if err := f.Reserve(n); err == nil {
				t.Fatalf("there is room for %d bytes", n)
			} else if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "bytes") {
				t.Error(err)
			}
			if piece, err := f.Allocate(int(min(n, math.MaxInt))); err == nil {
				t.Fatalf("got %d bytes", len(piece))
			}
		}
		if f.size != size || len(f.extents) != round {
			t.Errorf("%d bytes in %d extents after the refusals, of %d in %d", f.size, len(f.extents), size, round)
		}
		if err := f.Reserve(-1); err != nil {
			t.Error(err)
		}
		allocate(t, f, 1000)[999] = 1
	}
}

// TestExtentsGrow grows the file until an extent is larger than the least.
func TestExtentsGrow(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("room on the disk takes time and wear here")
	}
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	for range 2 {
		if err := f.Reserve(leastExtent * (extentShare + 1)); err != nil {
			t.Skip("no room for the test:", err)
		}
		f.extents[len(f.extents)-1].used = len(f.extents[len(f.extents)-1].data)
	}
	allocate(t, f, 1)
	if n := len(f.extents[2].data); n < 2*leastExtent || n > 3*leastExtent {
		t.Errorf("after %d bytes comes an extent of %d", f.size, n)
	}
}

// TestAllocateConcurrently has goroutines allocate, write, read and release at once.
func TestAllocateConcurrently(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	const workers, each = 8, 100
	stop := make(chan struct{})
	var releasing, writing sync.WaitGroup
	releasing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := f.Release(); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
			}
		}
	})
	for w := range workers {
		writing.Go(func() {
			var pieces [][]byte
			for i := range each {
				if err := f.Reserve(int64(i) * Alignment); err != nil {
					t.Error(err)
				}
				piece, err := f.Allocate(1 + i*997*w)
				if err != nil {
					t.Error(err)
					return
				}
				for at := 0; at+8 <= len(piece); at += 8 {
					binary.LittleEndian.PutUint64(piece[at:], uint64(w)<<32|uint64(i))
				}
				pieces = append(pieces, piece)
				f.Ahead(piece)
			}
			for i, piece := range pieces {
				for at := 0; at+8 <= len(piece); at += 8 {
					if v := binary.LittleEndian.Uint64(piece[at:]); v != uint64(w)<<32|uint64(i) {
						t.Errorf("piece %d of %d holds %#x at %d", i, w, v, at)
						return
					}
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	releasing.Wait()
}
