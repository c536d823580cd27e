// Package sysmem tells how much memory the machine has to spare.
package sysmem

// Available returns the number of bytes that the process can be expected to get without anything being swapped out or
// killed, and whether that is known on this system.
func Available() (bytes int64, known bool) { return available() }
