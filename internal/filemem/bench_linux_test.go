package filemem

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

var sink byte

// touch reads a byte of every page.
func touch(data []byte) {
	for at := 0; at < len(data); at += pageSize {
		sink += data[at]
	}
}

// filled returns a file of 1 GiB, all of it in the system's cache and clean, in pieces in the order of the file.
func filled(b *testing.B, piece int) (*File, [][]byte) {
	b.Helper()
	f := create(b, filepath.Join(b.TempDir(), "kv"))
	var pieces [][]byte
	for range 1 << 30 / piece {
		data := allocate(b, f, piece)
		for i := range data {
			data[i] = 1
		}
		pieces = append(pieces, data)
	}
	if err := f.file.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := f.Release(); err != nil {
		b.Fatal(err)
	}
	return f, pieces
}

const resides = 64 << 20

// scatter returns pieces of that many bytes together, chosen at random.
func scatter(pieces [][]byte, bytes int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	var chosen [][]byte
	for _, i := range r.Perm(len(pieces))[:bytes/len(pieces[0])] {
		chosen = append(chosen, pieces[i])
	}
	return chosen
}

// BenchmarkRelease releases a file of 1 GiB of which 64 MiB are resident, or nothing.
func BenchmarkRelease(b *testing.B) {
	f, pieces := filled(b, 64<<10)
	for _, c := range []struct {
		name   string
		pieces [][]byte
		write  bool
	}{
		{"nothing", nil, false},
		{"neighbours", pieces[:resides/len(pieces[0])], false},
		{"scattered", scatter(pieces, resides), false},
		{"written", scatter(pieces, resides), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				for _, piece := range c.pieces {
					for at := 0; c.write && at < len(piece); at += pageSize {
						piece[at]++
					}
					touch(piece)
				}
				b.StartTimer()
				if err := f.Release(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// perPage reports the time for each page of 4 KiB, of that many bytes in an iteration.
func perPage(b *testing.B, bytes int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(float64(bytes)/4096), "ns/page")
}

// BenchmarkReturn brings back from the system's cache 64 MiB that were released, in scattered pieces.
func BenchmarkReturn(b *testing.B) {
	for _, size := range []int{16 << 10, 64 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("KiB=%d", size>>10), func(b *testing.B) {
			f, pieces := filled(b, size)
			chosen := scatter(pieces, resides)
			b.ResetTimer()
			for range b.N {
				for _, piece := range chosen {
					touch(piece)
				}
				b.StopTimer()
				if err := f.Release(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			perPage(b, resides)
		})
	}
}

// BenchmarkDisk reads 16 MiB from the disk, in scattered pieces, asked for ahead or not.
func BenchmarkDisk(b *testing.B) {
	f, pieces := filled(b, 32<<10)
	const bytes = 16 << 20
	chosen := scatter(pieces, bytes)
	for _, ahead := range []bool{false, true} {
		b.Run(fmt.Sprintf("ahead=%v", ahead), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				forget(b, f)
				b.StartTimer()
				if ahead {
					f.Ahead(chosen...)
				}
				for _, piece := range chosen {
					touch(piece)
				}
			}
			perPage(b, bytes)
		})
	}
}

// BenchmarkWrite writes pieces for the first time.
func BenchmarkWrite(b *testing.B) {
	const bytes = 256 << 20
	for range b.N {
		b.StopTimer()
		f := create(b, filepath.Join(b.TempDir(), "kv"))
		if err := f.Reserve(bytes); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for range bytes >> 16 {
			data := allocate(b, f, 64<<10)
			for at := 0; at < len(data); at += 64 {
				data[at] = 1
			}
		}
		b.StopTimer()
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	perPage(b, bytes)
}
