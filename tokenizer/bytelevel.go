package tokenizer

import "unicode/utf8"

// Byte-level vocabularies spell every byte as one printable character, so that tokens are text: the printable bytes of
// Latin-1 stand for themselves, and the others, in order, are U+0100 and up (Radford et al., 2019). A space is U+0120.

// byteRune is the character of each byte.
var byteRune = buildByteRunes()

// lastByteRune is the highest character in byteRune.
const lastByteRune = 0x143 // 68 bytes are not printable

// runeByte is the inverse of byteRune, -1 where a character stands for no byte.
var runeByte = buildRuneBytes()

func buildByteRunes() (table [256]rune) {
	next := rune(0x100)
	for b := range rune(256) {
		printable := '!' <= b && b <= '~' || '¡' <= b && b <= '¬' || '®' <= b && b <= 'ÿ'
		if printable {
			table[b] = b
			continue
		}
		table[b] = next
		next++
	}
	return table
}

func buildRuneBytes() (table [lastByteRune + 1]int16) {
	for i := range table {
		table[i] = -1
	}
	for b, r := range byteRune {
		table[r] = int16(b)
	}
	return table
}

// appendByteLevel appends the spelling of raw bytes.
func appendByteLevel(dst []byte, raw string) []byte {
	for i := range len(raw) {
		dst = utf8.AppendRune(dst, byteRune[raw[i]])
	}
	return dst
}

// appendRawBytes appends the bytes that a spelling stands for. Characters outside the alphabet stand for themselves.
func appendRawBytes(dst []byte, spelling string) []byte {
	for i := 0; i < len(spelling); {
		r, size := utf8.DecodeRuneInString(spelling[i:])
		if r <= lastByteRune && runeByte[r] >= 0 {
			dst = append(dst, byte(runeByte[r]))
		} else {
			dst = append(dst, spelling[i:i+size]...)
		}
		i += size
	}
	return dst
}
