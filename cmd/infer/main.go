// Command infer runs language models from GGUF files and tells about them.
//
//	infer run -m model.gguf -p "Once upon a time" -n 100
//
// See infer --help, and infer COMMAND --help for each command.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
