// Command infer runs language models from GGUF files and tells about them.
//
//	infer run -m model.gguf -p "Once upon a time" -n 100
//
// See infer --help, and infer COMMAND --help for each command.
package main

import (
	"os"
	"runtime/debug"
)

// garbagePercent is how much of the heap may be garbage. Hardly anything is allocated once a model runs, so that little of it
// costs no time, and memory is for the text.
const garbagePercent = 25

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
