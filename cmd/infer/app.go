package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// app is one execution of the program: where it reads and writes, and the flags that all commands have.
type app struct {
	stdin    io.Reader
	stdout   *bufio.Writer // flushed at the end, and where text is to appear earlier
	stderr   io.Writer
	terminal bool // stderr is one

	json    bool
	threads int

	started bool // the command line was understood
}

// run executes a command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // so that a second signal ends the program at once
	return runContext(ctx, args, stdin, stdout, stderr)
}

// grace is how long a command that is to stop may take to do so in good order.
const grace = 700 * time.Millisecond

func runContext(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: bufio.NewWriter(stdout), stderr: stderr, terminal: isTerminal(stderr)}
	type outcome struct {
		cmd *cobra.Command
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		cmd, err := a.execute(ctx, args)
		done <- outcome{cmd, err}
	}()
	var o outcome
	select {
	case o = <-done:
		return a.exitCode(ctx, o.cmd, o.err)
	case <-ctx.Done():
	}
	select {
	case o = <-done:
		return a.exitCode(ctx, o.cmd, o.err)
	case <-time.After(grace): // it waits for a file, or is between two looks at the context
		fmt.Fprintln(stderr, "infer: interrupted")
		return exitFailure
	}
}

// execute runs the command that args ask for.
func (a *app) execute(ctx context.Context, args []string) (*cobra.Command, error) {
	root := newRoot(a)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		a.started = true // help was understood, too
		err = a.stdout.Flush()
	}
	return cmd, err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
