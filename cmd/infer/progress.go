package main

import (
	"io"
	"time"

	"github.com/mneme-lm/mneme"
	"github.com/schollz/progressbar/v3"
)

// progressDelay is how long something takes before a bar shows how far it is.
const progressDelay = time.Second

// progress is a bar on stderr, if that is a terminal, for what takes long. It is not safe for concurrent use.
type progress struct {
	label  string
	bytes  bool
	out    io.Writer // nil: no bar
	appear time.Time
	bar    *progressbar.ProgressBar
	done   int64
}

func (a *app) newProgress(label string, bytes bool) *progress {
	p := &progress{label: label, bytes: bytes, appear: time.Now().Add(progressDelay)}
	if a.terminal {
		p.out = a.stderr
	}
	return p
}

// set says how much is done.
func (p *progress) set(done, total int64) {
	if p.out == nil || p.bar == nil && (total <= 0 || time.Now().Before(p.appear)) {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetDescription(p.label),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionShowBytes(p.bytes),
			progressbar.OptionUseIECUnits(true),
			progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish(),
		)
	}
	if done = min(done, total); done != p.done { // a step of nothing would spoil the bar's guess of the time left
		p.done = done
		p.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	}
}

// describe says what is being done.
func (p *progress) describe(label string) {
	p.label = label
	if p.bar != nil {
		p.bar.Describe(label)
	}
}

// finish takes the bar away.
func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
		p.bar, p.out = nil, nil
	}
}

// watchPrefill shows how far a session is with reading total tokens, until stop is called.
func (a *app) watchPrefill(s *mneme.Session, total int) (stop func()) {
	p := a.newProgress("reading", false)
	if p.out == nil {
		return func() {}
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer p.finish()
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				p.set(int64(s.Stats().PromptTokens), int64(total))
			}
		}
	}()
	return func() {
		close(quit)
		<-gone
	}
}
