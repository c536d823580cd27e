package tokenizer

// splitCL100K follows the rule that began with OpenAI's cl100k_base and that Llama 3 (digits is 3) and Qwen 2 (digits
// is 1) adopted:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*
//	|\s*[\r\n]+|\s+(?!\S)|\s+
func splitCL100K(digits int) splitFunc {
	return func(s string) int {
		if n := contraction(s, 0, true); n > 0 {
			return n
		}
		if i := afterPrefix(s); i >= 0 {
			return skip(s, i, classLetter)
		}
		if n := takeNumbers(s, digits); n > 0 {
			return n
		}
		if n := takeSymbols(s); n > 0 {
			return skip(s, n, classNewline)
		}
		return takeWhitespace(s)
	}
}

// afterPrefix follows [^\r\n\p{L}\p{N}]?\p{L}: it returns where the word begins, -1 if there is none.
func afterPrefix(s string) int {
	c, size := classAt(s, 0)
	if c&classLetter != 0 {
		return 0
	}
	if c&(classNumber|classNewline) != 0 || size == len(s) {
		return -1
	}
	if next, _ := classAt(s, size); next&classLetter == 0 {
		return -1
	}
	return size
}

// takeNumbers follows \p{N}{1,limit}; 0 is no match.
func takeNumbers(s string, limit int) int {
	end := 0
	for range limit {
		if end == len(s) {
			break
		}
		c, size := classAt(s, end)
		if c&classNumber == 0 {
			break
		}
		end += size
	}
	return end
}

// takeSymbols follows " ?[^\s\p{L}\p{N}]+"; 0 is no match.
func takeSymbols(s string) int {
	i, c, size := afterSpace(s)
	if c&classWord != 0 {
		return 0
	}
	return skipOthers(s, i+size, classWord)
}

// takeWhitespace follows \s*[\r\n]+|\s+(?!\S)|\s+ for a text that begins with whitespace.
func takeWhitespace(s string) int {
	end, last := whitespace(s)
	for i := end; i > 0; i-- {
		if s[i-1] == '\n' || s[i-1] == '\r' {
			return i
		}
	}
	return splitWhitespace(s, end, last)
}
