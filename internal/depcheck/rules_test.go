package depcheck

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is the path before every package of this repository.
const module = "github.com/mneme-lm/mneme"

// rule is what the packages of a room may import: a room is a folder with those below it that have no rule of their
// own. The standard library is free to all.
type rule struct {
	rooms   []string // of this repository, "*" for all
	modules []string // of others
}

const (
	cpuid       = "github.com/klauspost/cpuid/v2"
	cobra       = "github.com/spf13/cobra"
	pflag       = "github.com/spf13/pflag"
	progressbar = "github.com/schollz/progressbar/v3"
	rapid       = "pgregory.net/rapid"
	sys         = "golang.org/x/sys"
	term        = "golang.org/x/term"
	arch        = "golang.org/x/arch"
	gorgonia    = "gorgonia.org"
	gonum       = "gonum.org/v1/gonum"   // the BLAS that Gorgonia asks for
	hm          = "github.com/chewxy/hm" // the types of Gorgonia's operations
)

// below lists the rooms under package mneme.
var below = []string{
	"model", "attention", "memory", "kvcache", "kvcache/episodic", "kernels", "asm", "tokenizer", "sample", "weights",
	"internal/atomicfile", "internal/filemem", "internal/hugemem", "internal/mapped", "internal/params", "internal/statefile", "internal/sysmem", "weights/convert", "weights/quant", "weights/safetensors", "weights/synth",
}

// rules by room; "." is package mneme.
var rules = map[string]rule{
	"asm":                 {},
	"kernels":             {rooms: []string{"asm", "weights/quant"}, modules: []string{cpuid, sys}},
	"kvcache":             {rooms: []string{"kernels", "weights/quant", "internal/params"}},
	"kvcache/episodic":    {},
	"attention":           {rooms: []string{"kvcache", "kernels", "weights/quant", "internal/params"}},
	"memory":              {rooms: []string{"kvcache", "kernels", "weights/quant"}},
	"model":               {rooms: []string{"attention", "memory", "kvcache", "kernels", "weights", "weights/quant", "internal/hugemem"}},
	"weights/quant":       {},
	"weights":             {rooms: []string{"weights/quant", "weights/internal", "internal/atomicfile", "internal/mapped"}},
	"weights/internal":    {rooms: []string{"weights/quant"}},
	"weights/convert":     {rooms: []string{"weights", "weights/quant", "weights/internal", "weights/safetensors", "tokenizer", "internal/mapped"}},
	"weights/synth":       {rooms: []string{"weights", "weights/quant", "weights/internal"}},
	"weights/safetensors": {rooms: []string{"weights/quant", "internal/mapped"}},
	"tokenizer":           {},
	"sample":              {},
	".":                   {rooms: []string{"model", "attention", "kvcache", "memory", "internal/atomicfile", "internal/filemem", "internal/statefile", "kvcache/episodic", "kernels", "tokenizer", "sample", "weights", "weights/quant", "internal/sysmem"}},
	"bench":               {rooms: append([]string{".", "train/tales"}, below...)},
	"train":               {rooms: append([]string{".", "train/tales"}, below...), modules: []string{gorgonia, gonum, hm}},
	"train/tales":         {},
	"server":              {rooms: append([]string{"."}, below...)},
	"cmd":                 {rooms: []string{"*"}, modules: []string{cobra, pflag, progressbar, sys, term}},
	"internal/atomicfile": {modules: []string{sys}},
	"internal/filemem":    {modules: []string{sys}},
	"internal/hugemem":    {modules: []string{sys}},
	"internal/mapped":     {modules: []string{sys}},
	"internal/statefile":  {rooms: []string{"internal/atomicfile", "internal/mapped"}},
	"internal/sysmem":     {modules: []string{sys}},
	"internal/params":     {},
	"internal/testdata":   {},
	"internal/depcheck":   {},
}

// forTests is what the tests of every room may import besides: helpers, memory in a file, random models and those of others
// to try things on, a disassembler for instructions written as numbers, and Gorgonia as the oracle for gradients written by
// hand.
var forTests = rule{
	rooms:   []string{"internal/filemem", "internal/testdata", "weights/convert", "weights/safetensors", "weights/synth", "weights", "weights/quant"},
	modules: []string{rapid, gorgonia, arch},
}

// testOnly is what nothing but tests, and helpers for them, may import.
var testOnly = []string{"testing", module + "/internal/testdata", rapid, arch}

// roomOf returns the room of a folder, which is relative to the module's root and has slashes; ok is false if there is
// none.
func roomOf(folder string) (room string, ok bool) {
	for at := folder; ; at = path.Dir(at) {
		if _, ok := rules[at]; ok && (at != "." || folder == ".") {
			return at, true
		}
		if at == "." {
			return "", false
		}
	}
}

// check says what is wrong with a package in folder importing imported, nil if nothing is.
func check(folder, imported string, test bool) error {
	room, ok := roomOf(folder)
	if !ok {
		return fmt.Errorf("folder %s belongs to no room: give it a rule", folder)
	}
	test = test || room == "internal/testdata"
	if !test && slices.ContainsFunc(testOnly, func(root string) bool { return within(imported, root) }) {
		return fmt.Errorf("%s imports %s, which is for tests", folder, imported)
	}
	if imported == "C" {
		return fmt.Errorf("%s uses cgo", folder)
	}
	allowed := rules[room]
	if test {
		allowed.rooms = slices.Concat(allowed.rooms, forTests.rooms)
		allowed.modules = slices.Concat(allowed.modules, forTests.modules)
	}
	if within(imported, module) {
		return checkRoom(room, strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"), allowed.rooms)
	}
	if standard(imported) || slices.ContainsFunc(allowed.modules, func(m string) bool { return within(imported, m) }) {
		return nil
	}
	return fmt.Errorf("%s imports %s: its rule names no such module", room, imported)
}

func checkRoom(from, folder string, allowed []string) error {
	if folder == "" {
		folder = "."
	}
	to, ok := roomOf(folder)
	if !ok {
		return fmt.Errorf("%s imports %s, which belongs to no room: give it a rule", from, folder)
	}
	if to == from || slices.Contains(allowed, to) || slices.Contains(allowed, "*") {
		return nil
	}
	return fmt.Errorf("%s imports %s: its rule does not allow that", from, to)
}

// within reports whether an import path is root or lies below it.
func within(imported, root string) bool {
	return imported == root || strings.HasPrefix(imported, root+"/")
}

// standard reports whether an import path is one of the standard library's: those have no dot in their first part.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
