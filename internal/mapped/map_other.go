//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package mapped

import (
	"errors"
	"os"
)

// mapFile says that there is no mapping here; files are read instead.
func mapFile(*os.File, int) (data []byte, release func() error, err error) {
	return nil, nil, errors.ErrUnsupported
}
