package rowstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mneme-lm/mneme/weights/quant"
)

// number fills each value with its index in the tensor.
func number(rowLen int) func([]float32, int) error {
	return func(dst []float32, first int) error {
		for i := range dst {
			dst[i] = float32(first*rowLen + i)
		}
		return nil
	}
}

func TestWriteInOrder(t *testing.T) {
	cases := []struct{ rowLen, rows int }{
		{1, 1}, {1, pieceValues}, {1, 3*pieceValues + 5}, {1000, 65}, {1000, 66}, {pieceValues, 7}, {pieceValues + 1, 5}, {4, 0}, {0, 4},
	}
	for _, c := range cases {
		for _, workers := range []int{0, 1, 2, 5} {
			var out bytes.Buffer
			s := Stream{Type: quant.F32, RowLen: c.rowLen, Rows: c.rows, Fill: number(c.rowLen), Workers: workers}
			if err := s.Write(t.Context(), &out); err != nil {
				t.Fatalf("%v, %d workers: %v", c, workers, err)
			}
			if out.Len() != 4*c.rowLen*c.rows {
				t.Fatalf("%v, %d workers: %d bytes, want %d", c, workers, out.Len(), 4*c.rowLen*c.rows)
			}
			for i := 0; i < out.Len(); i += 4 {
				if got := math.Float32frombits(binary.LittleEndian.Uint32(out.Bytes()[i:])); got != float32(i/4) {
					t.Fatalf("%v, %d workers: value %d is %g", c, workers, i/4, got)
				}
			}
		}
	}
}

var errTest = errors.New("a test's error")

func TestFillError(t *testing.T) {
	for _, at := range []int{0, 500, 999} {
		s := Stream{Type: quant.F32, RowLen: 1000, Rows: 1000, Workers: 3, Fill: func(dst []float32, first int) error {
			if first <= at && at < first+len(dst)/1000 {
				return errTest
			}
			return nil
		}}
		if err := s.Write(t.Context(), &bytes.Buffer{}); !errors.Is(err, errTest) {
			t.Errorf("row %d: error %v", at, err)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	inf := func(dst []float32, _ int) error {
		dst[0] = float32(math.Inf(1))
		return nil
	}
	err := Stream{Type: quant.Q8_0, RowLen: 32, Rows: 4, Fill: inf}.Write(t.Context(), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "rows 0 to 3") {
		t.Errorf("infinity in Q8_0: %v", err)
	}
	if err := (Stream{Type: quant.Q8_0, RowLen: 33, Rows: 1, Fill: inf}).Write(t.Context(), &bytes.Buffer{}); err == nil {
		t.Error("a row that is no whole number of blocks was accepted")
	}
	if err := (Stream{Type: 4242, RowLen: 32, Rows: 1, Fill: inf}).Write(t.Context(), &bytes.Buffer{}); err == nil {
		t.Error("an unknown type was accepted")
	}
}

// failing fails at the given write, and calls then before.
type failing struct {
	at   int
	then func()
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.at--; f.at < 0 {
		f.then()
		return len(p), f.err
	}
	return len(p), nil
}

func TestWriteErrorAndCancel(t *testing.T) {
	var filled atomic.Int64
	s := Stream{Type: quant.F32, RowLen: pieceValues, Rows: 1000, Workers: 2, Fill: func([]float32, int) error {
		filled.Add(1)
		return nil
	}}
	before := runtime.NumGoroutine()
	if err := s.Write(t.Context(), &failing{3, func() {}, errTest}); !errors.Is(err, errTest) {
		t.Errorf("writer's error: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Write(ctx, &failing{3, cancel, nil}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if n := filled.Load(); n > 100 {
		t.Errorf("%d of 2000 pieces were made after the end had come", n)
	}
	if err := s.Write(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: %v", err)
	}
	for range 100 { // goroutines that have returned from their functions need a moment to be gone
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// TestMemory streams a tensor of 256 MiB of float32 and looks at what was allocated.
func TestMemory(t *testing.T) {
	var n int64
	count := writerFunc(func(p []byte) (int, error) {
		n += int64(len(p))
		return len(p), nil
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := Stream{Type: quant.F16, RowLen: 1 << 20, Rows: 64, Workers: 2, Fill: func([]float32, int) error { return nil }}
	if err := s.Write(t.Context(), count); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; n != 128<<20 || used > 32<<20 {
		t.Errorf("%d bytes written, %d allocated", n, used)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
