package filemem

import (
	"path/filepath"
	"sync"
	"testing"
)

// TestAheadOfAnything names pieces of all kinds, more than can wait, also while the file is closed.
func TestAheadOfAnything(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	data := allocate(t, f, 3<<20)
	for i := range data {
		data[i] = byte(i % 251)
	}
	heap := make([]byte, 10_000)
	for i := range heap {
		heap[i] = byte(i)
	}
	pieces := [][]byte{nil, {}, heap, heap[17:18], data, data[:0], data[len(data):], data[5:6], data[4095:4097], data[len(data)-1:], data[:1]}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 2 * mostAhead / len(pieces) {
				f.Ahead(pieces...)
				if i%100 == 0 {
					if err := f.Release(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	f.Ahead()
	group.Wait()
	for i := range data {
		if data[i] != byte(i%251) {
			t.Fatalf("byte %d is %d", i, data[i])
		}
	}
	for i := range heap {
		if heap[i] != byte(i) {
			t.Fatalf("byte %d of the heap is %d", i, heap[i])
		}
	}
	for range 4 {
		group.Go(func() {
			for range 1000 {
				f.Ahead(data)
			}
		})
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
}

// TestPages finds the pages of pieces, which must not leave their extent.
func TestPages(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	first, second := allocate(t, f, leastExtent), allocate(t, f, 5<<20)
	for _, c := range []struct {
		name        string
		piece, want []byte
	}{
		{"the first extent", first, first},
		{"one byte", first[pageSize+7 : pageSize+8], first[pageSize : pageSize+8]},
		{"the last byte", first[leastExtent-1:], first[leastExtent-pageSize:]},
		{"a page's end and the next", second[pageSize-1 : pageSize+1], second[:pageSize+1]},
		{"of the heap", make([]byte, 100), nil},
		{"nothing", nil, nil},
	} {
		got := f.pages(c.piece)
		if len(got) != len(c.want) || len(got) > 0 && &got[0] != &c.want[0] {
			t.Errorf("%s: %d bytes, want %d", c.name, len(got), len(c.want))
		}
	}
}
