package tokenizer

// splitO200K follows the rule of OpenAI's o200k_base (gpt-4o: three digits, contractions belong to the word) and of
// Mistral's tekken (one digit, no contractions), which begins a new word where a capital follows a small letter. With
//
//	U = \p{L} but a-z    L = \p{L} but A-Z    C = (?i:'s|'t|'re|'ve|'m|'ll|'d)
//
// it is
//
//	[^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*
//	|\s*[\r\n]+|\s+(?!\S)|\s+
//
// The tokenizers as published divide all letters into upper and lower case and count marks (\p{M}) among both;
// llama.cpp has this simpler form, in which a letter outside ASCII is both upper and lower.
func splitO200K(digits int, contractions bool) splitFunc {
	return func(s string) int {
		if i := afterPrefix(s); i >= 0 {
			end := casedWord(s, i)
			if contractions {
				end += contraction(s, end, true)
			}
			return end
		}
		if n := takeNumbers(s, digits); n > 0 {
			return n
		}
		if n := takeSymbols(s); n > 0 {
			return skipLineEnds(s, n)
		}
		return takeWhitespace(s)
	}
}

// skipLineEnds follows [\r\n/]* from i on.
func skipLineEnds(s string, i int) int {
	for i < len(s) && (s[i] == '\n' || s[i] == '\r' || s[i] == '/') {
		i++
	}
	return i
}

// casedWord follows U*L+|U+L* from i on, where a letter stands, and returns the end.
func casedWord(s string, i int) int {
	lower := 0 // the end of the last letter of L among those of U
	for i < len(s) {
		c, size := classAt(s, i)
		if c&classLetter == 0 {
			// U* has taken all letters; it gives back until L+ finds one, which is where the word ends.
			if lower > 0 {
				return lower
			}
			return i
		}
		if 'a' <= s[i] && s[i] <= 'z' {
			return skipLower(s, i)
		}
		i += size
		if size > 1 {
			lower = i
		}
	}
	if lower > 0 {
		return lower
	}
	return i
}

// skipLower follows L* from i on.
func skipLower(s string, i int) int {
	for i < len(s) && (s[i] < 'A' || s[i] > 'Z') {
		c, size := classAt(s, i)
		if c&classLetter == 0 {
			break
		}
		i += size
	}
	return i
}
