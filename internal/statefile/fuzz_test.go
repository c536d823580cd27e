package statefile

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// FuzzOpen reads what a file may hold: as it is, and with the checksums of the header and of the table made right, so that
// what the table says is looked at. What is accepted is the file that its sections give.
func FuzzOpen(f *testing.F) {
	f.Add(encode(f, nil))
	f.Add(encode(f, []content{{"tokens", 64, pattern(1, 100)}, {"nothing", 64, nil}, {"keys", 256, pattern(2, 70)}, {"\x00", 128, pattern(3, 1)}}))
	for _, c := range crafted(f) {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, seal(slices.Clone(data))} {
			file, err := parse(data)
			if err != nil {
				if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrChecksum) {
					t.Errorf("an error of another kind: %v", err)
				}
				continue
			}
			var sections []content
			for _, s := range file.Sections() {
				data, _ := file.Section(s.Name)
				sections = append(sections, content{s.Name, s.Alignment, data})
			}
			if again := encode(t, sections); !bytes.Equal(again, data) {
				t.Errorf("the sections of what was accepted give another file:\n% x\n% x", data, again)
			}
		}
	})
}
