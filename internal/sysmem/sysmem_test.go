package sysmem

import (
	"runtime"
	"testing"
)

func TestAvailable(t *testing.T) {
	bytes, known := Available()
	switch runtime.GOOS {
	case "linux", "darwin", "windows":
		if !known || bytes < 1<<20 || bytes > 1<<50 {
			t.Fatalf("%d bytes available, known %v", bytes, known)
		}
	}
}
