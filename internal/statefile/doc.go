// Package statefile is the container in which the state of a session lies on the disk: named sections of bytes, each with
// checksums, in a file that is there whole or not at all. What the sections mean is their owners' affair.
//
// A file is written from front to back (Create), so that sections of any size need no memory, and mapped to be read
// (Open), with sections aligned in such a way that pages of float32 can be used where they lie.
//
// # Format
//
// All numbers are little endian. Checksums are CRC-32C (Castagnoli), as hash/crc32 has it. Version 1:
//
//	what        offset    bytes  content
//	header           0        8  89 4D 4E 53 0D 0A 1A 0A: the magic, which no transfer as text leaves as it is
//	                 8        4  version, 1
//	                12        4  number of sections, at most 1,048,576
//	                16        8  length of the file
//	                24        8  offset of the table
//	                32        4  checksum of the table
//	                36       24  zero
//	                60        4  checksum of the bytes 0 to 59
//	sections        64        …  each section's data, at the next multiple of its alignment after the section before
//	table            …        …  one entry for each section, at the next multiple of 64 after the last one, to the file's end
//	  entry          0        8  offset of the data
//	                 8        8  length of the data, n
//	                16        4  alignment of the data: a power of two from 64 to 4096
//	                20        4  length of the name, 1 to 255
//	                24        …  name, which no other section has
//	                 …    4 · c  a checksum for each chunk of 4 MiB of the data: c = ⌈n / 4 MiB⌉, the last chunk is the rest
//
// Bytes between sections, and before the table, are zero. So the same sections have one representation, every byte of a
// file is accounted for, and a file in which any is changed, missing or added is refused.
package statefile
