// Package safetensors reads files in the safetensors format, in which weights are published.
//
// A file is the length of a header (8 bytes, little-endian), the header, a JSON object, and the tensors' bytes. The
// header names of each tensor its number format, its shape and where its bytes begin and end, counted from the end of the
// header; its member __metadata__ holds strings. [Open] maps a file into memory and checks all of it before use: a broken
// or hostile file gives one error and nothing worse.
//
// What the format forbids is refused: members that are there twice, bytes that belong to two tensors or to none. Members
// that it does not know are refused too.
//
// The format is described at https://github.com/huggingface/safetensors.
package safetensors

import "strconv"

// Sizes that the format fixes.
const (
	lengthBytes = 8
	maxHeader   = 100_000_000 // bytes of a header
)

// quote prints a name from a file for an error message, shortened if it is long.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
