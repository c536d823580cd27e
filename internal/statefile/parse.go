package statefile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// parse reads the header and the table, and checks everything.
func parse(data []byte) (*File, error) {
	h, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	table := data[h.table:]
	if sum := crc32.Checksum(table, castagnoli); sum != h.tableSum {
		return nil, fmt.Errorf("table of sections: %w: %08x, the header says %08x", ErrChecksum, sum, h.tableSum)
	}
	f := &File{data: data, byName: map[string]int{}}
	if err := f.parseTable(table, int64(h.table), int(h.sections)); err != nil {
		return nil, err
	}
	if err := verify(data, f.entries); err != nil {
		return nil, err
	}
	return f, nil
}

// parseHeader returns a header whose table begins and ends within the file.
func parseHeader(data []byte) (header, error) {
	var h header
	begin := data[:min(len(data), len(magic))]
	switch {
	case len(data) == 0:
		return h, fmt.Errorf("%w: empty", ErrFormat)
	case string(begin) != magic[:len(begin)]:
		return h, fmt.Errorf("%w: it begins with %q, not %q", ErrFormat, begin, magic)
	case len(data) < headerBytes:
		return h, fmt.Errorf("%w: truncated to %d bytes, the header alone has %d", ErrFormat, len(data), headerBytes)
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != version {
		return h, fmt.Errorf("%w %d: this program reads version %d", ErrVersion, v, version)
	}
	stored := binary.LittleEndian.Uint32(data[headerBytes-4:])
	if sum := crc32.Checksum(data[:headerBytes-4], castagnoli); sum != stored {
		return h, fmt.Errorf("header: %w: %08x, it says %08x", ErrChecksum, sum, stored)
	}
	h = header{
		sections: binary.LittleEndian.Uint32(data[12:]),
		length:   binary.LittleEndian.Uint64(data[16:]),
		table:    binary.LittleEndian.Uint64(data[24:]),
		tableSum: binary.LittleEndian.Uint32(data[32:]),
	}
	size := uint64(len(data))
	switch {
	case size < h.length:
		return h, fmt.Errorf("%w: truncated to %d of %d bytes", ErrFormat, size, h.length)
	case size > h.length:
		return h, fmt.Errorf("%w: it has %d bytes, %d more than were written", ErrFormat, size, size-h.length)
	case h.table < headerBytes || h.table > size:
		return h, fmt.Errorf("%w: the table of sections is said to be at %d of %d bytes", ErrFormat, h.table, size)
	case h.sections > maxSections:
		return h, fmt.Errorf("%w: %d sections, there can be %d", ErrFormat, h.sections, maxSections)
	case !bytes.Equal(h.bytes(), data[:headerBytes]):
		return h, fmt.Errorf("%w: the header has values where it should have zeros", ErrFormat)
	}
	return h, nil
}

// parseTable reads the entries of n sections, which lie side by side between the header and tableOffset.
func (f *File) parseTable(table []byte, tableOffset int64, n int) error {
	end := int64(headerBytes) // of the section before
	for i := range n {
		var e entry
		var err error
		if e, table, err = parseEntry(table, tableOffset); err != nil {
			return fmt.Errorf("%w: section %d of %d: %w", ErrFormat, i+1, n, err)
		}
		if _, ok := f.byName[e.Name]; ok {
			return fmt.Errorf("%w: there are two sections %q", ErrFormat, e.Name)
		}
		if e.Offset < end {
			return fmt.Errorf("%w: section %q begins at %d and overlaps what ends at %d", ErrFormat, e.Name, e.Offset, end)
		}
		if err := f.checkGap(end, e.Offset, e.Alignment); err != nil {
			return fmt.Errorf("%w: section %q: %w", ErrFormat, e.Name, err)
		}
		end = e.Offset + e.Length
		f.byName[e.Name] = i
		f.entries = append(f.entries, e)
	}
	if len(table) > 0 {
		return fmt.Errorf("%w: %d bytes are left over in the table of sections", ErrFormat, len(table))
	}
	if err := f.checkGap(end, tableOffset, MinAlignment); err != nil {
		return fmt.Errorf("%w: table of sections: %w", ErrFormat, err)
	}
	return nil
}

// checkGap says what is wrong if something begins at offset that comes after what ends at end.
func (f *File) checkGap(end, offset int64, alignment int) error {
	if want := alignUp(end, alignment); offset != want {
		return fmt.Errorf("begins at %d, not at %d", offset, want)
	}
	for i, b := range f.data[end:offset] {
		if b != 0 {
			return fmt.Errorf("byte %d before it is %#x, not zero", end+int64(i), b)
		}
	}
	return nil
}

// parseEntry reads an entry of a section that lies before limit, and returns what comes after it.
func parseEntry(table []byte, limit int64) (e entry, rest []byte, err error) {
	if len(table) < entryBytes {
		return e, nil, fmt.Errorf("the table has %d bytes left, an entry takes %d and its name", len(table), entryBytes)
	}
	offset, length := binary.LittleEndian.Uint64(table), binary.LittleEndian.Uint64(table[8:])
	alignment, nameBytes := uint64(binary.LittleEndian.Uint32(table[16:])), uint64(binary.LittleEndian.Uint32(table[20:]))
	table = table[entryBytes:]
	if err := checkNameLength(nameBytes); err != nil {
		return e, nil, err
	}
	if err := checkAlignment(alignment); err != nil {
		return e, nil, err
	}
	if offset > uint64(limit) || length > uint64(limit)-offset {
		return e, nil, fmt.Errorf("%d bytes at %d, but data end at %d", length, offset, limit)
	}
	sumBytes := (length + chunkBytes - 1) / chunkBytes * 4 // length is at most the file's
	if need := nameBytes + sumBytes; need > uint64(len(table)) {
		return e, nil, fmt.Errorf("the table has %d bytes left, its name and checksums take %d", len(table), need)
	}
	e.Section = Section{string(table[:nameBytes]), int64(offset), int64(length), int(alignment)}
	e.sums = table[nameBytes : nameBytes+sumBytes]
	return e, table[nameBytes+sumBytes:], nil
}
