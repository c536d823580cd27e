package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	gpt2Rule     = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	contractions = `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`
	cl100kRule   = contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	upper, lower = `(?:(?=\p{L})[^a-z])`, `(?:(?=\p{L})[^A-Z])`
	o200kRule    = `[^\r\n\p{L}\p{N}]?` + upper + `*` + lower + `+%[2]s|[^\r\n\p{L}\p{N}]?` + upper + `+` + lower + `*%[2]s` +
		`|\p{N}{1,%[1]d}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	threeDigitRule = `[0-9][0-9][0-9]`
	ideographRule  = `[一-龥ࠀ-一가-퟿]+`
)

// rulesOf are the rules of each pre-tokenizer as text, applied one after the other.
func rulesOf(tb testing.TB) map[string][]string {
	tb.Helper()
	var letters strings.Builder
	for _, r := range deepseekLetters.R16 {
		fmt.Fprintf(&letters, "%c-%c", r.Lo, r.Hi)
	}
	for _, r := range deepseekLetters.R32 {
		fmt.Fprintf(&letters, "%c-%c", r.Lo, r.Hi)
	}
	return map[string][]string{
		"gpt-2":          {gpt2Rule},
		"starcoder":      {`\p{N}`, gpt2Rule},
		"llama-bpe":      {fmt.Sprintf(cl100kRule, 3)},
		"qwen2":          {fmt.Sprintf(cl100kRule, 1)},
		"tekken":         {fmt.Sprintf(o200kRule, 1, "")},
		"gpt-4o":         {fmt.Sprintf(o200kRule, 3, contractions+"?")},
		"falcon":         {"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Rule, threeDigitRule},
		"default":        {`[\p{P}\$\+<=>\^~\|]+`, gpt2Rule, `\p{N}+`, threeDigitRule},
		"deepseek-coder": {`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, ideographRule, `\p{N}`},
		"deepseek-llm": {
			`[\r\n]`, `\s?[` + letters.String() + `]+`, `\s?[!-/:-~！-／：-～‘-‟　-。]+`, `\s+$`, ideographRule, `\p{N}+`,
		},
	}
}

// ruleSet is a pre-tokenizer in both forms.
type ruleSet struct {
	name   string
	rules  []matcher
	stages []splitFunc
}

func ruleSets(tb testing.TB) []ruleSet {
	tb.Helper()
	var sets []ruleSet
	for name, rules := range rulesOf(tb) {
		set := ruleSet{name: name, stages: preRules[name].stages}
		for _, r := range rules {
			set.rules = append(set.rules, compileRule(r))
		}
		sets = append(sets, set)
	}
	return sets
}

func (set ruleSet) slow(text string) []string {
	pieces := []string{text}
	for _, m := range set.rules {
		var next []string
		for _, p := range pieces {
			next = append(next, splitByRule(m, p)...)
		}
		pieces = next
	}
	return pieces
}

func (set ruleSet) fast(text string) []string {
	var pieces []string
	walk(text, set.stages, func(word string) { pieces = append(pieces, word) })
	return pieces
}

func checkPretokenize(t rapid.TB, sets []ruleSet, text string) {
	t.Helper()
	if text == "" {
		return
	}
	for _, set := range sets {
		if got, want := set.fast(text), set.slow(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q:\n got %q\nwant %q", set.name, text, got, want)
		}
	}
}

// hardPieces are texts where rules differ or could go wrong.
var hardPieces = []string{
	"'s", "'S", "'ll", "'LL", "'Re", "'vE", "'", "''", "'sx", " ", "  ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u2028",
	"\u0085", "\v", "\x1c", "1", "12", "123", "1234567", "٣٤", "½", "Ⅷ", "a", "B", "Hello", "hELLo", "éA", "ÉCOLE", "Éa",
	"école", "ß", "жЖ", "中文", "ひ", "한국", "ក", "\u0301", "e\u0301", "🙂", "𝔸", "𐐀", "\U0002ebf5", "!", "...", "—", "。",
	"～", "“", "’", "/", "$", "+", "<", "^", "`", "|", "_", "*", "ʰ", "ª", "µ", "ǅ", "가", "\u0378", "\ufffd", "\x00",
}

func TestPretokenizersFollowTheirRules(t *testing.T) {
	sets := ruleSets(t)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(hardPieces), 1, 25).Draw(t, "parts")
		checkPretokenize(t, sets, strings.Join(parts, ""))
	})
}

func FuzzPretokenize(f *testing.F) {
	sets := ruleSets(f)
	f.Add(strings.Join(hardPieces, ""))
	f.Add(strings.Join(hardPieces, " "))
	f.Add("I'll say: 1234 things'RE \n\n  here.\t\tOK  ")
	f.Add("fooBarBAZ ÉcoleÉCOLE don'T//\n/x")
	f.Fuzz(func(t *testing.T, text string) { checkPretokenize(t, sets, replaceInvalid(shorten(text, 200))) })
}

func TestPretokenizerExamples(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"gpt-2", "I'll pay 1234  now", "I|'ll| pay| 1234| | now"},
		{"gpt-2", "I'LL", "I|'|LL"},
		{"gpt-2", "a  ", "a|  "},
		{"smollm", "x 12", "x| |1|2"},
		{"llama3", "I'LL pay 12345!\n\nnow", "I|'LL| pay| |123|45|!\n\n|now"},
		{"llama-bpe", "a \n \n  b", "a| \n \n| | b"},
		{"qwen2", "in 2024", "in| |2|0|2|4"},
		{"tekken", "fooBar HTTPServer x/\n", "foo|Bar| HTTPServer| x|/\n"},
		{"gpt-4o", "fooBar's 1234", "foo|Bar's| |123|4"},
		{"falcon", "a`b 12345", "a|`|b| |123|45"},
		{"default", "a`b+c 12345", "a|`|b|+|c| |123|45"},
		{"deepseek-llm", "abc 中文 12345  \nx", "abc| |中文| |12345|  |\n|x"},
		{"deepseek-coder", "abc 中文 123\n", "abc| |中文| |1|2|3|\n"},
		{"deepseek-llm", "aßª ʰΩ", "a|ß|ª ʰ|Ω"},
	} {
		var pieces []string
		walk(c.text, preRules[c.name].stages, func(word string) { pieces = append(pieces, word) })
		if got := strings.Join(pieces, "|"); got != c.want {
			t.Errorf("%s: %q is cut %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestUnknownPretokenizer(t *testing.T) {
	_, err := New(smallBPE().with("pre", "esperanto"))
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) {
		t.Fatalf("got %v", err)
	}
	if unsupported.Value != "esperanto" || unsupported.Key != keyPre || !slices.Contains(unsupported.Known, "qwen2") {
		t.Errorf("got %+v", unsupported)
	}
	if !slices.IsSorted(unsupported.Known) || !strings.Contains(err.Error(), "tekken") {
		t.Errorf("got %v", err)
	}
}

func TestMissingPretokenizerIsDefault(t *testing.T) {
	tok := mustNew(t, smallBPE().with("pre", nil))
	if tok.Pre() != "default" || !tok.PreAssumed() {
		t.Errorf("pre is %q, assumed %v", tok.Pre(), tok.PreAssumed())
	}
	if tok = mustNew(t, smallBPE().with("pre", "default")); tok.Pre() != "default" || tok.PreAssumed() {
		t.Errorf("pre is %q, assumed %v", tok.Pre(), tok.PreAssumed())
	}
}

func TestPretokenizersOfOneRule(t *testing.T) {
	for alias, of := range map[string]string{
		"llama3": "llama-bpe", "llama-v3": "llama-bpe", "deepseek-r1-qwen": "qwen2", "phi-2": "gpt-2", "mpt": "gpt-2",
		"refact": "starcoder", "smollm": "starcoder", "llama4": "gpt-4o", "dbrx": "llama-bpe",
	} {
		text := strings.Join(hardPieces, "")
		a := ruleSet{stages: preRules[alias].stages}.fast(text)
		b := ruleSet{stages: preRules[of].stages}.fast(text)
		if len(a) == 0 || !slices.Equal(a, b) {
			t.Errorf("%s differs from %s", alias, of)
		}
	}
}
