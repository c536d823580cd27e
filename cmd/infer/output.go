package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mneme-lm/mneme/weights"
)

// printJSON prints the one object that --json asks for.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printf prints to stdout. The error of a failed write shows when the output is flushed.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.stdout, format, args...) }

// byteSize prints a number of bytes for people.
func byteSize(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for ; f >= 1024; i++ {
		f /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// perSecond is a rate that JSON can hold.
func perSecond(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// piece prints the bytes of a token as text, those that are no character as <0xE2>.
func piece(b []byte) string {
	var out []byte
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			out = fmt.Appendf(out, "<0x%02X>", b[0])
		} else {
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return string(out)
}

// fromFile prints a name that a file gives, quoted if a terminal could mistake it.
func fromFile(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// typeCount says what of a model is in one number format.
type typeCount struct {
	Tensors int   `json:"tensors"`
	Bytes   int64 `json:"bytes"`
}

func typeCounts(counts []weights.TypeCount) map[string]typeCount {
	types := make(map[string]typeCount, len(counts))
	for _, c := range counts {
		types[c.Type.String()] = typeCount{c.Tensors, c.Bytes}
	}
	return types
}

// printTypes lists what of a model is in which number format.
func (a *app) printTypes(counts []weights.TypeCount) {
	for _, c := range counts {
		a.printf("  %-8s %5d tensors  %10s\n", c.Type, c.Tensors, byteSize(c.Bytes))
	}
}

// logit is a token with its logit, written [id, logit].
type logit struct {
	id    int32
	value float32
}

// MarshalJSON writes the pair.
func (l logit) MarshalJSON() ([]byte, error) {
	if f := float64(l.value); math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fmt.Errorf("the logit of token %d is %g", l.id, f)
	}
	b := strconv.AppendInt([]byte{'['}, int64(l.id), 10)
	b = strconv.AppendFloat(append(b, ','), float64(l.value), 'g', -1, 32)
	return append(b, ']'), nil
}
