package hugemem

import (
	"math"
	"testing"
	"unsafe"
)

func TestMap(t *testing.T) {
	for _, size := range []int{1, 63, 4096, 5<<20 + 17} {
		data, release, err := Map(size)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) != size || cap(data) < size {
			t.Fatalf("%d bytes of %d", len(data), size)
		}
		if at := uintptr(unsafe.Pointer(&data[0])); at%64 != 0 {
			t.Errorf("%d bytes begin at %#x, within a cache line", size, at)
		}
		for i, v := range data {
			if v != 0 {
				t.Fatalf("byte %d of %d is %d", i, size, v)
			}
			data[i] = byte(i)
		}
		for i, v := range data {
			if v != byte(i) {
				t.Fatalf("byte %d of %d was forgotten", i, size)
			}
		}
		release()
	}
}

func TestMapNothing(t *testing.T) {
	data, release, err := Map(0)
	if err != nil || len(data) != 0 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	release()
}

func TestMapRefuses(t *testing.T) {
	if data, _, err := Map(math.MaxInt / 2); err == nil {
		t.Fatalf("got %d bytes", len(data))
	}
}
