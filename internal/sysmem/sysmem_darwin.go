package sysmem

import "golang.org/x/sys/unix"

// available is half of the installed memory: macOS compresses and caches so freely that the pages it calls free say
// little.
func available() (int64, bool) {
	total, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0, false
	}
	return int64(total / 2), true
}
