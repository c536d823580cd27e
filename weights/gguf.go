// Package weights reads and writes model files in the GGUF format, versions 2 and 3, and re-encodes them.
//
// A GGUF file is a list of metadata (key and typed value), a list of tensors (name, shape, number format), and the
// tensors' bytes. [Open] maps a file into memory and checks every length, count and offset in it before use, so that a
// broken or hostile file gives one error and nothing worse. [Create] and [NewWriter] write files of any size in little
// memory. [Quantize] writes a model anew in another number format.
//
// The format is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package weights

import (
	"errors"
	"strconv"
)

// ErrNotGGUF is what Open and Parse return, wrapped, for data that does not begin as a GGUF file does.
var ErrNotGGUF = errors.New("not a GGUF file")

// Sizes and keys that the format fixes.
const (
	magic            = "GGUF"
	versionWritten   = 3
	headerBytes      = 4 + 4 + 8 + 8 // magic, version, tensor count, metadata count
	defaultAlignment = 32
	maxDims          = 4
	maxKeyBytes      = 1<<16 - 1
	maxNesting       = 8  // arrays within arrays; real files have no more than two levels
	maxNameBytes     = 63 // longest tensor name that ggml reads

	keyAlignment    = "general.alignment"
	keySplitNo      = "split.no"
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count"
	keyFileType     = "general.file_type"
	keyQuantVersion = "general.quantization_version"
)

// quote prints a name from a file for an error message, shortened if it is long.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
