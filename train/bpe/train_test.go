package bpe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
	"pgregory.net/rapid"
)

func mustTrain(t rapid.TB, text string, opts Options) *Vocabulary {
	t.Helper()
	v, err := Train(context.Background(), text, opts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tokenizerOf reads a vocabulary back from a GGUF file.
func tokenizerOf(t rapid.TB, v *Vocabulary) *tokenizer.Tokenizer {
	t.Helper()
	var md weights.Metadata
	if err := v.SetMetadata(&md); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := weights.NewWriter(&file, &md, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(f.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// slowMerges counts all pairs anew for every merge. It returns the merges and what they make of each word.
func slowMerges(text string, size int) (merges [][2]string, words map[string][]string) {
	words, times := map[string][]string{}, map[string]int{}
	for piece := range strings.SplitSeq(text, endOfText) {
		err := tokenizer.Pretokenize(preTokenizer, piece, func(word string) {
			times[word]++
			words[word] = nil
			for i := range len(word) {
				words[word] = append(words[word], word[i:i+1])
			}
		})
		if err != nil {
			panic(err)
		}
	}
	for len(merges) < size-alphabet-1 {
		counts := map[[2]string]int{}
		for word, tokens := range words {
			for i := range len(tokens) - 1 {
				counts[[2]string{tokens[i], tokens[i+1]}] += times[word]
			}
		}
		order := slices.SortedFunc(maps.Keys(counts), func(a, b [2]string) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
		})
		if len(order) == 0 || counts[order[0]] < leastCount {
			break
		}
		best := order[0]
		merges = append(merges, best)
		for word, tokens := range words {
			for i := 0; i < len(tokens)-1; i++ {
				if tokens[i] == best[0] && tokens[i+1] == best[1] {
					tokens = slices.Replace(tokens, i, i+2, best[0]+best[1])
				}
			}
			words[word] = tokens
		}
	}
	return merges, words
}

// checkTrain compares with the slow way; encoding must make the same of every word of the text as learning did.
func checkTrain(t rapid.TB, text string, size int) {
	t.Helper()
	merges, words := slowMerges(text, size)
	v := mustTrain(t, text, Options{Size: size})
	var want []string
	for _, m := range merges {
		want = append(want, tokenizer.SpellByteLevel(m[0])+" "+tokenizer.SpellByteLevel(m[1]))
	}
	if !slices.Equal(v.Merges, want) {
		t.Fatalf("%q:\n got %q\nwant %q", text, v.Merges, want)
	}
	if len(v.Tokens) != alphabet+len(v.Merges)+1 || len(v.Tokens) > size {
		t.Fatalf("%d tokens, %d merges", len(v.Tokens), len(v.Merges))
	}
	tok := tokenizerOf(t, v) // which refuses two tokens that are spelled alike
	for word, tokens := range words {
		var got []string
		for _, id := range tok.Encode(word, tokenizer.EncodeOptions{}) {
			got = append(got, string(tok.Piece(id)))
		}
		if !slices.Equal(got, tokens) {
			t.Fatalf("%q is encoded %q, learned %q", word, got, tokens)
		}
	}
}

func TestTrainIsTheSlowWay(t *testing.T) {
	parts := rapid.SampledFrom([]string{"a", "b", "aa", "ab", "aba", "abab", " ", " a", " ab", "ba", "é", "中", "\n", "12", "!", "'s", "\xff",
		endOfText, "the", " then", "<", "aaaa"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(parts, 0, 80).Draw(t, "text"), "")
		checkTrain(t, text, rapid.IntRange(alphabet+1, alphabet+40).Draw(t, "size"))
	})
}

func FuzzTrain(f *testing.F) {
	for _, s := range []string{"", "aaaaaaaaaaaa", "low lower lowest newer wider", "\xff\xfe中文中文", "ab<|endoftext|>ab 12 12"} {
		f.Add(s, 300)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		if len(text) <= 300 && size > alphabet && size < 1000 {
			checkTrain(t, text, size)
		}
	})
}

// TestTrain works the example of Sennrich et al., section 3.2, out by hand, with the space that begins a word in the place
// of the character that ends one.
func TestTrain(t *testing.T) {
	text := strings.Repeat(" low", 5) + strings.Repeat(" lower", 2) + strings.Repeat(" newest", 6) + strings.Repeat(" widest", 3)
	v := mustTrain(t, text, Options{Size: alphabet + 1 + 6})
	// es and st are there 9 times, and after es so is es t. Then " l", lo and ow, 7 times, then four pairs of newest, 6 times:
	// of each of these the first has the smallest bytes.
	want := []string{"e s", "es t", "Ġ l", "Ġl o", "Ġlo w", "Ġ n"}
	if !slices.Equal(v.Merges, want) {
		t.Errorf("got %q, want %q", v.Merges, want)
	}
	if v.Begin != v.End || int(v.End) != len(v.Tokens)-1 || v.Tokens[v.End] != endOfText || v.Tokens[alphabet+1] != "est" || v.Tokens['\n'] != "Ċ" {
		t.Errorf("tokens %q, begin %d, end %d", v.Tokens[alphabet:], v.Begin, v.End)
	}
}

// story is a text with what real ones have.
func story() string {
	var b strings.Builder
	for i := range 120 {
		fmt.Fprintf(&b, "Once upon a time, %d girls and the girl's %s went to the sea.\n\nThey weren't afraid—it was warm.\n", i*i, strings.Repeat("grand", i%4)+"mother")
		if i%10 == 0 {
			b.WriteString(endOfText)
		}
	}
	return b.String()
}

// TestEveryMergeIsUsed takes the merges away, the last first: each makes the text shorter.
func TestEveryMergeIsUsed(t *testing.T) {
	text := story()
	v := mustTrain(t, text, Options{Size: 350})
	if len(v.Tokens) != 350 {
		t.Fatalf("%d tokens", len(v.Tokens))
	}
	fewest := 0
	for n := len(v.Merges); n >= 0; n-- {
		part := *v
		part.Merges = v.Merges[:n]
		ids := tokenizerOf(t, &part).Encode(text, tokenizer.EncodeOptions{ParseSpecial: true})
		if len(ids) <= fewest {
			t.Fatalf("with %d merges the text has %d tokens, with one more %d", n, len(ids), fewest)
		}
		fewest = len(ids)
	}
}

func TestRoundTrip(t *testing.T) {
	tok := tokenizerOf(t, mustTrain(t, story(), Options{Size: 350}))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		ids := tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
		if back := tok.Text(ids, tokenizer.DecodeOptions{}); back != text {
			t.Fatalf("%q comes back as %q", text, back)
		}
	})
	ids := tok.Encode(story(), tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
	if back := tok.Text(ids, tokenizer.DecodeOptions{Special: true}); back != endOfText+story() {
		t.Error("the text that was learned from does not come back")
	}
}

func TestSmallTexts(t *testing.T) {
	for text, want := range map[string][]string{
		"":                             {},
		"a":                            {},
		"ab":                           {},
		"\xff":                         {},
		"aaa":                          {"a a"},
		"ab ab":                        {"a b"}, // the first has no space before it
		"a b c a b c":                  {"Ġ b", "Ġ c"},
		strings.Repeat(endOfText, 9):   {},
		strings.Repeat("a", 20):        {"a a", "aa aa", "aaaa aaaa"},
		strings.Repeat("\x00", 9):      {"Ā Ā", "ĀĀ ĀĀ"},
		strings.Repeat(" ", 5):         {"Ġ Ġ"},
		"ab" + endOfText + "ab<|endof": {"a b"},
		"\xff\xff":                     {"¿ ½", "ï ¿½"}, // U+FFFD twice
	} {
		v := mustTrain(t, text, Options{Size: 1000})
		if !slices.Equal(v.Merges, want) {
			t.Errorf("%q: %q, want %q", text, v.Merges, want)
		}
		tok := tokenizerOf(t, v)
		if back := tok.Text(tok.Encode("aé 中", tokenizer.EncodeOptions{}), tokenizer.DecodeOptions{}); back != "aé 中" || tok.Size() != len(v.Merges)+alphabet+1 {
			t.Errorf("%q: %d tokens, a text comes back as %q", text, tok.Size(), back)
		}
	}
}

// TestDeterminism trains on the same words in another order: only their numbers count.
func TestDeterminism(t *testing.T) {
	documents := strings.Split(story(), endOfText)
	first := mustTrain(t, strings.Join(documents, endOfText), Options{Size: 340})
	for range 3 {
		slices.Reverse(documents)
		if again := mustTrain(t, strings.Join(documents, endOfText), Options{Size: 340}); !reflect.DeepEqual(again, first) {
			t.Error("other merges")
		}
	}
}

func TestSpecialTokens(t *testing.T) {
	v := mustTrain(t, strings.Repeat("<s>one</s><s>two</s>", 20), Options{Size: 600, Begin: "<s>", End: "</s>"})
	tok := tokenizerOf(t, v)
	bos, _ := tok.BOS()
	eos, _ := tok.EOS()
	if v.Begin == v.End || bos != v.Begin || eos != v.End || !tok.AddsBOS() || tok.AddsEOS() || !tok.IsEndOfGeneration(eos) {
		t.Errorf("begin %d, end %d, BOS %d, EOS %d", v.Begin, v.End, bos, eos)
	}
	if want := []string{"n e", "o ne", "t w", "tw o"}; !slices.Equal(v.Merges, want) {
		t.Errorf("got %q, want %q", v.Merges, want)
	}
	got := tok.Encode("<s>two</s>", tokenizer.EncodeOptions{ParseSpecial: true})
	if two, _ := tok.Lookup("two"); !slices.Equal(got, []int32{bos, two, eos}) {
		t.Errorf("got %v", got)
	}
}

func TestRefused(t *testing.T) {
	for want, opts := range map[string]Options{
		"of 0 tokens":    {},
		"of -1 tokens":   {Size: -1},
		"of 256 tokens":  {Size: 256},
		"of 257 tokens":  {Size: 257, Begin: "<s>"},
		"2147483648":     {Size: 1 << 31},
		`token "x"`:      {Size: 300, Begin: "x"},
		`token "a b"`:    {Size: 300, End: "a b"},
		`token "<é>"`:    {Size: 300, End: "<é>"},
		`token "\n\n"`:   {Size: 300, End: "\n\n"},
		`token "<\x80>"`: {Size: 300, End: "<\x80>"},
	} {
		if _, err := Train(t.Context(), "text", opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %s", opts, err, want)
		}
	}
	for _, opts := range []Options{{Size: 257}, {Size: 258, Begin: "<s>"}} {
		if v := mustTrain(t, "text text", opts); len(v.Tokens) != opts.Size || len(v.Merges) != 0 {
			t.Errorf("%+v: %d tokens, %q", opts, len(v.Tokens), v.Merges)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Train(ctx, story(), Options{Size: 350}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// mostTokens is how many tokens a byte of simple English stories may take at 1,024 tokens.
const mostTokens = 0.45

func TestStories(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "text/tinystories.txt"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ToValidUTF8(string(data), "")
	v := mustTrain(t, text, Options{Size: 1024})
	if len(v.Tokens) != 1024 {
		t.Errorf("%d tokens", len(v.Tokens))
	}
	tok := tokenizerOf(t, v)
	ids := tok.Encode(text, tokenizer.EncodeOptions{ParseSpecial: true})
	if back := tok.Text(ids, tokenizer.DecodeOptions{Special: true}); back != text {
		t.Error("the text does not come back")
	}
	rate := float64(len(ids)) / float64(len(text))
	t.Logf("%.4f tokens per byte", rate)
	if rate > mostTokens {
		t.Errorf("%.4f tokens per byte, more than %v", rate, mostTokens)
	}
}

func BenchmarkTrain(b *testing.B) {
	data, err := os.ReadFile(testdata.Shared(b, "text/war-and-peace.txt"))
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{"book": string(data), "one word": strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r
		}
		return -1
	}, string(data))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				mustTrain(b, text, Options{Size: 4096})
			}
		})
	}
}
