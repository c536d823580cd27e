package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitSuccess = 0
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a command line that cannot be followed, whatever the files say.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errNoCommand asks for the help that an empty command line gets.
var errNoCommand = errors.New("no command")

// exitCode prints what went wrong, in one line, and returns the exit code.
func (a *app) exitCode(ctx context.Context, cmd *cobra.Command, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitSuccess
	case errors.Is(err, errNoCommand):
		fmt.Fprintf(a.stderr, "%s\n\n%s", cmd.Long, cmd.UsageString())
		return exitUsage
	case !a.started || errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "infer: %s (see %s --help)\n", oneLine(err.Error()), cmd.CommandPath())
		return exitUsage
	case ctx.Err() != nil:
		fmt.Fprintln(a.stderr, "infer: interrupted")
	case errors.Is(err, syscall.EPIPE):
		// Whoever read the output has seen enough.
	default:
		fmt.Fprintf(a.stderr, "infer: %s\n", oneLine(err.Error()))
	}
	return exitFailure
}

// warn tells about something that the user should know of the result.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.stderr, "infer: warning: %s\n", oneLine(fmt.Sprintf(format, args...)))
}

// oneLine makes a message, which may quote a file or the command line, safe to print in a line of a terminal.
func oneLine(s string) string { return strings.Join(strings.Fields(printable(s)), " ") }

// printable replaces control characters, by which a text could do things to a terminal, by spaces.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
}
