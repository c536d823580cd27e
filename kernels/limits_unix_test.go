//go:build linux || darwin

package kernels

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Nothing is read before or behind the bytes there are: the pages around them may not be touched.
func TestLimitsReadNoFurther(t *testing.T) {
	page := unix.Getpagesize()
	m, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	for i := range m {
		m[i] = byte(i * 7)
	}
	for _, guard := range [][]byte{m[:page], m[2*page:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	middle := m[page : 2*page]
	each(t, func(t *testing.T, impl *Implementation) {
		for _, n := range append([]int{511, 512, 513, page}, lengths...) {
			for _, p := range [][]byte{middle[:n], middle[page-n:]} {
				if got, want := impl.Limits.Read(p), plainXor(p); got != want {
					t.Fatalf("%d bytes: %x, want %x", n, got, want)
				}
			}
		}
	})
}
