//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package filemem

import (
	"errors"
	"os"
)

// openLocked says that there are no mappings here; so there is no File whose memory the others could be asked about.
func openLocked(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func mapExtent(*os.File, int64, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmap([]byte) error { return errors.ErrUnsupported }

func allocateDisk(*os.File, int64, int64) error { return errors.ErrUnsupported }

func drop([]byte) error { return errors.ErrUnsupported }

func scattered([]byte) {}

func willNeed([]byte) {}

// waits is not known here.
func waits() int64 { return 0 }
