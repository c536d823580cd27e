//go:build linux || darwin

package kernels

import (
	"testing"

	"golang.org/x/sys/unix"
)

// fences hands out memory between pages that may not be touched.
type fences struct {
	t    testing.TB
	maps [][]byte
}

func newFences(t testing.TB) *fences { return &fences{t: t} }

// bytes returns n bytes right before a page that may not be touched, or, at the start, right behind one.
func (f *fences) bytes(n int, start bool) []byte {
	page := unix.Getpagesize()
	inner := max(1, (n+page-1)/page) * page
	m, err := unix.Mmap(-1, 0, inner+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		f.t.Fatal(err)
	}
	f.maps = append(f.maps, m)
	for _, fence := range [][]byte{m[:page], m[page+inner:]} {
		if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
			f.t.Fatal(err)
		}
	}
	if start {
		return m[page : page+n : page+n]
	}
	return m[page+inner-n : page+inner : page+inner]
}

// free takes all of the memory back.
func (f *fences) free() {
	for _, m := range f.maps {
		if err := unix.Munmap(m); err != nil {
			f.t.Fatal(err)
		}
	}
	f.maps = nil
}
