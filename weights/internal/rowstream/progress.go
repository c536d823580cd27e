package rowstream

import "io"

// Progress reports how much is written through it, to whichever writer Out is at the time.
type Progress struct {
	Out    io.Writer
	Report func(done, total int64) // nil for none
	Total  int64
	done   int64
}

// Write writes b to Out and reports the sum of all writes.
func (p *Progress) Write(b []byte) (int, error) {
	n, err := p.Out.Write(b)
	p.done += int64(n)
	if p.Report != nil {
		p.Report(p.done, p.Total)
	}
	return n, err
}
