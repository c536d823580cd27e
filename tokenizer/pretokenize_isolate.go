package tokenizer

// The functions here make stages that cut out what matches a simple rule; what lies between two matches stays together.

// isolate cuts out single characters: [class].
func isolate(mask class) splitFunc {
	return func(s string) int {
		if c, size := classAt(s, 0); c&mask != 0 {
			return size
		}
		return skipOthers(s, 0, mask)
	}
}

// isolateRuns cuts out runs of characters: [class]+.
func isolateRuns(mask class) splitFunc {
	return func(s string) int {
		if n := skip(s, 0, mask); n > 0 {
			return n
		}
		return skipOthers(s, 0, mask)
	}
}

// isolateSpacedRuns cuts out runs of characters with one whitespace character in front: \s?[class]+. The class must not
// hold whitespace.
func isolateSpacedRuns(mask class) splitFunc {
	return func(s string) int {
		i := 0
		for i < len(s) && !spacedRunAt(s, i, mask) {
			_, size := classAt(s, i)
			i += size
		}
		if i > 0 {
			return i
		}
		_, size := classAt(s, 0)
		return skip(s, size, mask)
	}
}

// spacedRunAt reports whether \s?[class] matches at i.
func spacedRunAt(s string, i int, mask class) bool {
	c, size := classAt(s, i)
	if c&mask != 0 {
		return true
	}
	if c&classSpace == 0 || i+size == len(s) {
		return false
	}
	next, _ := classAt(s, i+size)
	return next&mask != 0
}

// isolateTrailingSpace cuts off the whitespace at the end of a text: \s+$.
func isolateTrailingSpace(s string) int {
	if n := len(trimSpaceRight(s)); n > 0 {
		return n
	}
	return len(s)
}

// isolateThreeDigits cuts out groups of three ASCII digits: [0-9][0-9][0-9].
func isolateThreeDigits(s string) int {
	run := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			run = 0
			continue
		}
		if run++; run == 3 {
			if i == 2 {
				return 3
			}
			return i - 2
		}
	}
	return len(s)
}
