package sysmem

import (
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"
)

// available is the lesser of the kernel's estimate for the machine and what the control group has left.
func available() (int64, bool) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	free, ok := field(info, "MemAvailable:")
	if !ok {
		return 0, false
	}
	free *= 1024 // the file counts in KiB
	if left, limited := groupLeft(); limited {
		free = min(free, left)
	}
	return free, true
}

// field returns the number that follows a name at the start of a line.
func field(text []byte, name string) (int64, bool) {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			words := bytes.Fields(rest)
			if len(words) == 0 {
				return 0, false
			}
			n, err := strconv.ParseInt(string(words[0]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// groupLeft walks from the process's control group (version 2) up to the root and returns the least that any of them
// still allows. Inactive file pages count as free: the kernel gives them up before it kills.
func groupLeft() (left int64, limited bool) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	group, ok := strings.CutPrefix(strings.TrimSpace(string(own)), "0::")
	if !ok {
		return 0, false
	}
	for {
		dir := path.Join("/sys/fs/cgroup", group)
		limit, ok := number(path.Join(dir, "memory.max"))
		used, known := number(path.Join(dir, "memory.current"))
		if ok && known {
			stat, _ := os.ReadFile(path.Join(dir, "memory.stat"))
			cached, _ := field(stat, "inactive_file ")
			if n := max(0, limit-used+cached); !limited || n < left {
				left, limited = n, true
			}
		}
		if group == "/" || group == "." || group == "" {
			return left, limited
		}
		group = path.Dir(group)
	}
}

func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no limit
	return n, err == nil
}
