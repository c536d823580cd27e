package mneme

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/mneme-lm/mneme/weights"
)

// sampleBytes is how much of a tensor's beginning, middle and end goes into a fingerprint.
const sampleBytes = 4 << 10

// fingerprint tells models apart: a hash of the metadata, of the tensors' names, types and shapes, and of three samples of
// each tensor's data. Reading all of it would take as long as loading the model from the disk.
func fingerprint(f *weights.File) (string, error) {
	h := sha256.New()
	md, err := f.Metadata().MarshalJSON()
	if err != nil {
		return "", fmt.Errorf("mneme: fingerprint of the model: %w", err)
	}
	h.Write(md)
	for _, t := range f.Tensors() {
		fmt.Fprintf(h, "%q %s %v\n", t.Name, t.Type, t.Shape)
		binary.Write(h, binary.LittleEndian, int64(len(t.Data)))
		n := len(t.Data)
		for _, at := range []int{0, n/2 - sampleBytes/2, n - sampleBytes} {
			at = max(at, 0)
			h.Write(t.Data[at:min(at+sampleBytes, n)])
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fingerprintOf is the fingerprint of a model with an adapter, or of one without, nil.
func fingerprintOf(file, adapter *weights.File) (string, error) {
	print, err := fingerprint(file)
	if err != nil || adapter == nil {
		return print, err
	}
	added, err := fingerprint(adapter)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(print + " " + added))
	return hex.EncodeToString(sum[:]), nil
}

// Fingerprint tells this model from others: a hash of its metadata and samples of its weights, and of those of its adapter, if it was
// opened with one. It is worked out once.
func (m *Model) Fingerprint() (string, error) { return m.fingerprint() }
