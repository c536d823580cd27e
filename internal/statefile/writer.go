package statefile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/mneme-lm/mneme/internal/atomicfile"
)

// Writer writes a state file, section after section. It keeps none of the data. After an error it does nothing more:
// all its methods return the first one, and Commit discards the file. It is not safe for use by several goroutines.
//
//	w, err := statefile.Create(path)
//	if err != nil { … }
//	defer w.Abort() // does nothing after Commit
//	for … {
//		if err := w.Section(name, alignment); err != nil { … }
//		… w.Write(…) …
//	}
//	return w.Commit()
type Writer struct {
	file    output
	path    string
	out     *bufio.Writer
	offset  int64 // where the next byte goes
	entries []entry
	names   map[string]bool
	sum     uint32 // checksum of the last section's last chunk, if that is not complete
	err     error  // the first error, which ends everything
	done    bool   // committed or aborted
}

// output is what atomicfile.File does.
type output interface {
	io.Writer
	io.WriterAt
	Commit() error
	Abort() error
}

var errDone = errors.New("statefile: the file was already committed or aborted")

// bufferBytes gathers small writes; larger ones pass it by.
const bufferBytes = 64 << 10

// Create begins a file that takes the name path when Commit is called, and not before; what has that name now stays
// until then. Unless Commit or Abort is called a temporary file is left, which the next Create for path removes once the
// process has ended.
func Create(path string) (*Writer, error) {
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("statefile: %w", err)
	}
	return newWriter(file, path), nil
}

func newWriter(file output, path string) *Writer {
	w := &Writer{file: file, path: path, out: bufio.NewWriterSize(file, bufferBytes), names: map[string]bool{}}
	w.zeros(headerBytes) // Commit knows what comes here
	return w
}

// Section ends the section before, if there is one, and begins the next. The data, which Write appends, will begin at a
// multiple of alignment, a power of two from MinAlignment to MaxAlignment. A name has 1 to 255 bytes and is not used twice.
func (w *Writer) Section(name string, alignment int) error {
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.checkSection(name, alignment); err != nil {
		return w.fail(fmt.Errorf("section %q: %w", name, err))
	}
	w.endSection()
	w.zeros(alignUp(w.offset, alignment) - w.offset)
	w.names[name] = true
	w.entries = append(w.entries, entry{Section: Section{Name: name, Offset: w.offset, Alignment: alignment}})
	return w.err
}

func (w *Writer) checkSection(name string, alignment int) error {
	if err := checkNameLength(uint64(len(name))); err != nil {
		return err
	}
	if w.names[name] {
		return errors.New("is there already")
	}
	if len(w.entries) == maxSections {
		return fmt.Errorf("there are %d sections, and no more can be", maxSections)
	}
	return checkAlignment(uint64(alignment))
}

// Write appends to the section that was begun last.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.ready(); err != nil {
		return 0, err
	}
	if len(w.entries) == 0 {
		return 0, w.fail(errors.New("data before the first section"))
	}
	section := &w.entries[len(w.entries)-1]
	n, err := w.out.Write(p)
	w.offset += int64(n)
	if err != nil {
		return n, w.fail(fmt.Errorf("section %q: %w", section.Name, err))
	}
	for len(p) > 0 {
		piece := p[:min(int64(len(p)), chunkBytes-section.Length%chunkBytes)]
		w.sum = crc32.Update(w.sum, castagnoli, piece)
		section.Length += int64(len(piece))
		if section.Length%chunkBytes == 0 {
			w.endChunk(section)
		}
		p = p[len(piece):]
	}
	return n, nil
}

func (w *Writer) endChunk(section *entry) {
	section.sums = binary.LittleEndian.AppendUint32(section.sums, w.sum)
	w.sum = 0
}

func (w *Writer) endSection() {
	if len(w.entries) == 0 {
		return
	}
	if section := &w.entries[len(w.entries)-1]; section.Length%chunkBytes != 0 {
		w.endChunk(section)
	}
}

// Commit ends the last section, puts everything on the disk, and gives the file its name. If that fails, or anything
// failed before, nothing of the file is left and what had its name stays.
func (w *Writer) Commit() error {
	if w.done {
		return errDone
	}
	w.done = true
	if w.err == nil {
		w.finish()
	}
	if w.err != nil {
		return errors.Join(w.err, w.file.Abort())
	}
	if err := w.file.Commit(); err != nil {
		return w.fail(err)
	}
	return nil
}

// finish writes the table, then the header that tells where it lies.
func (w *Writer) finish() {
	w.endSection()
	w.zeros(alignUp(w.offset, MinAlignment) - w.offset)
	h := header{sections: uint32(len(w.entries)), table: uint64(w.offset)}
	var buf []byte
	for i := range w.entries {
		buf = w.entries[i].appendTo(buf[:0])
		h.tableSum = crc32.Update(h.tableSum, castagnoli, buf)
		w.plain(buf)
	}
	h.length = uint64(w.offset)
	if err := w.out.Flush(); err != nil {
		w.fail(err)
	}
	if w.err != nil {
		return
	}
	if _, err := w.file.WriteAt(h.bytes(), 0); err != nil {
		w.fail(err)
	}
}

// Abort discards the file. After Commit or Abort it does nothing.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	if err := w.file.Abort(); err != nil {
		return fmt.Errorf("statefile: %w", err)
	}
	return nil
}

// ready says why nothing more can be written, if that is so.
func (w *Writer) ready() error {
	if w.done {
		return errDone
	}
	return w.err
}

// fail keeps the first error.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = fmt.Errorf("statefile: %s: %w", w.path, err)
	}
	return w.err
}

// zeros writes n zeros, at most MaxAlignment.
func (w *Writer) zeros(n int64) {
	var zeros [MaxAlignment]byte
	w.plain(zeros[:n])
}

// plain writes what is no section's data.
func (w *Writer) plain(p []byte) {
	n, err := w.out.Write(p)
	w.offset += int64(n)
	if err != nil {
		w.fail(err)
	}
}
