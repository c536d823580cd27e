package tokenizer

// splitGPT2 follows the rule of GPT-2:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func splitGPT2(s string) int {
	if n := contraction(s, 0, false); n > 0 {
		return n
	}
	i, c, size := afterSpace(s)
	switch {
	case c&classLetter != 0:
		return skip(s, i+size, classLetter)
	case c&classNumber != 0:
		return skip(s, i+size, classNumber)
	case c&classSpace == 0:
		return skipOthers(s, i+size, classWord)
	}
	end, last := whitespace(s)
	return splitWhitespace(s, end, last)
}

// afterSpace returns the index, class and length of the first character, or of the second if a space comes first.
func afterSpace(s string) (i int, c class, size int) {
	if s[0] == ' ' && len(s) > 1 {
		i = 1
	}
	c, size = classAt(s, i)
	return i, c, size
}

// contraction returns the length of 's, 't, 're, 've, 'm, 'll or 'd at i, 0 if there is none. With fold, capitals do as
// well.
func contraction(s string, i int, fold bool) int {
	if len(s) < i+2 || s[i] != '\'' {
		return 0
	}
	lower := func(b byte) byte {
		if fold && 'A' <= b && b <= 'Z' {
			return b + 'a' - 'A'
		}
		return b
	}
	first := lower(s[i+1])
	switch first {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) < i+3 {
		return 0
	}
	switch string([]byte{first, lower(s[i+2])}) {
	case "re", "ve", "ll":
		return 3
	}
	return 0
}

// whitespace returns where the run of whitespace at the start ends and where its last character begins.
func whitespace(s string) (end, last int) {
	for end < len(s) {
		c, size := classAt(s, end)
		if c&classSpace == 0 {
			break
		}
		last = end
		end += size
	}
	return end, last
}

// splitWhitespace follows \s+(?!\S)|\s+: of several whitespace characters before a word the last is left to it.
func splitWhitespace(s string, end, last int) int {
	if end < len(s) && last > 0 {
		return last
	}
	return end
}
