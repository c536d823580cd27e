package statefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The alignments that a section can have. The larger one is that of a page: what is mapped is aligned to it, and not
// beyond.
const (
	MinAlignment = 64
	MaxAlignment = 4096
)

const (
	magic        = "\x89MNS\r\n\x1a\n"
	version      = 1
	headerBytes  = 64
	entryBytes   = 24      // of a table's entry, before the name
	chunkBytes   = 4 << 20 // what has a checksum of its own, so that large sections can be checked in parallel
	maxSections  = 1 << 20
	maxNameBytes = 255
)

// What Open finds wrong with a file, wrapped in an error that gives the details.
var (
	ErrFormat   = errors.New("not a whole state file")
	ErrVersion  = errors.New("unknown version")
	ErrChecksum = errors.New("wrong checksum")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Section describes a section.
type Section struct {
	Name      string
	Offset    int64 // in the file, a multiple of Alignment
	Length    int64
	Alignment int
}

// entry is a section in the table. sums are its chunks' checksums as they are stored, 4 bytes each.
type entry struct {
	Section
	sums []byte
}

func (e *entry) appendTo(table []byte) []byte {
	table = binary.LittleEndian.AppendUint64(table, uint64(e.Offset))
	table = binary.LittleEndian.AppendUint64(table, uint64(e.Length))
	table = binary.LittleEndian.AppendUint32(table, uint32(e.Alignment))
	table = binary.LittleEndian.AppendUint32(table, uint32(len(e.Name)))
	table = append(table, e.Name...)
	return append(table, e.sums...)
}

// header is the file's beginning.
type header struct {
	sections uint32
	length   uint64 // of the file
	table    uint64 // its offset
	tableSum uint32
}

func (h *header) bytes() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, h.sections)
	b = binary.LittleEndian.AppendUint64(b, h.length)
	b = binary.LittleEndian.AppendUint64(b, h.table)
	b = binary.LittleEndian.AppendUint32(b, h.tableSum)
	b = append(b, make([]byte, headerBytes-4-len(b))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// alignUp returns the next multiple of alignment, a power of two, from n on.
func alignUp(n int64, alignment int) int64 {
	return (n + int64(alignment) - 1) &^ (int64(alignment) - 1)
}

func checkAlignment(n uint64) error {
	if n < MinAlignment || n > MaxAlignment || n&(n-1) != 0 {
		return fmt.Errorf("alignment %d, want a power of two from %d to %d", n, MinAlignment, MaxAlignment)
	}
	return nil
}

func checkNameLength(n uint64) error {
	if n == 0 || n > maxNameBytes {
		return fmt.Errorf("a name of %d bytes, want 1 to %d", n, maxNameBytes)
	}
	return nil
}
