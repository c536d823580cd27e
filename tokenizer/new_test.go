package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestHostileMetadata(t *testing.T) {
	spm, bpe, words := smallSPM(), smallBPE(), smallWords()
	n := len(spm[keyTokens].([]string))
	short := make([]float32, n-1)
	bad := make([]float32, n)
	bad[7] = float32(math.NaN())
	for name, c := range map[string]struct {
		md   metadata
		want string // part of the message
	}{
		"nothing":                 {metadata{}, keyModel},
		"model of wrong type":     {spm.with("model", 7), keyModel},
		"unknown model":           {spm.with("model", "bert"), "known are gpt2, llama, words"},
		"no tokens":               {spm.with("tokens", nil), keyTokens},
		"tokens of wrong type":    {spm.with("tokens", []int32{1}), "array of strings"},
		"empty vocabulary":        {spm.with("tokens", []string{}), "empty"},
		"duplicate token":         {spm.withToken("he", KindNormal), `both "he"`},
		"duplicate empty name":    {spm.withToken("", KindNormal).withToken(fmt.Sprintf("[EMPTY_%d]", n), KindNormal), "both"},
		"types too short":         {spm.with("token_type", []int32{1}), keyTokenType},
		"types of wrong type":     {spm.with("token_type", "normal"), keyTokenType},
		"byte misspelled":         {spm.withToken("<0xG0>", KindByte), "<0xG0>"},
		"no scores":               {spm.with("scores", nil), keyScores},
		"scores too short":        {spm.with("scores", short), keyScores},
		"score not a number":      {spm.with("scores", bad), "token 7"},
		"scores of wrong type":    {spm.with("scores", []int32{1}), keyScores},
		"bos out of range":        {spm.with("bos_token_id", n), "bos_token_id"},
		"unk out of range":        {spm.with("unknown_token_id", uint64(1<<31)), "unknown_token_id"},
		"eos of wrong type":       {spm.with("eos_token_id", "</s>"), "eos_token_id"},
		"add_bos of wrong type":   {spm.with("add_bos_token", 1), keyAddBOS},
		"add_eos of wrong type":   {spm.with("add_eos_token", "yes"), keyAddEOS},
		"prefix of wrong type":    {spm.with("add_space_prefix", 1), keyAddSpacePrefix},
		"extra of wrong type":     {spm.with("remove_extra_whitespaces", 1), keyRemoveExtra},
		"pre of wrong type":       {bpe.with("pre", 1), keyPre},
		"no merges":               {bpe.with("merges", nil), keyMerges},
		"merges of wrong type":    {bpe.with("merges", "a b"), keyMerges},
		"merge of one":            {bpe.with("merges", []string{"ab"}), `"ab"`},
		"merge of nothing":        {bpe.with("merges", []string{""}), `""`},
		"merge of a space":        {bpe.with("merges", []string{" "}), `" "`},
		"merge, left unknown":     {bpe.with("merges", []string{"zz a"}), `"zz"`},
		"merge, right unknown":    {bpe.with("merges", []string{"a zz"}), `"zz"`},
		"merge, result unknown":   {bpe.with("merges", []string{"a z"}), `"az"`},
		"BOS wanted, none there":  {bpe.with("pre", "glm4", "bos_token_id", nil, "add_bos_token", true), "BOS"},
		"BOS wanted, none to be":  {metadata{keyModel: "gpt2", keyPre: "llama3", keyTokens: []string{"a"}, keyMerges: []string{}}, "BOS"},
		"EOS wanted, none to be":  {metadata{keyModel: "gpt2", keyPre: "gpt-2", keyTokens: []string{"a"}, keyMerges: []string{}, keyAddEOS: true}, "EOS"},
		"words without unknown":   {words.with("unknown_token_id", nil), keyUnknown},
		"words, none written -1":  {words.with("unknown_token_id", uint64(math.MaxUint32)), keyUnknown},
		"words, unknown too high": {words.with("unknown_token_id", 1000), keyUnknown},
		"words, twice":            {words.withToken("▁box", KindNormal), `both "▁box"`},
		"words, BOS wanted":       {words.with("bos_token_id", nil, "add_bos_token", true), "BOS"},
		"words, EOS wanted":       {words.with("add_eos_token", true), "EOS"},
		"words, bos of text":      {words.with("bos_token_id", "<bos>"), keyBOS},
		"special tokens too long": {spm.withToken(strings.Repeat("x", maxSpecialBytes), KindControl), "special tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := New(c.md)
			if err == nil || tok != nil {
				t.Fatalf("got %v, %v", tok, err)
			}
			if !strings.HasPrefix(err.Error(), "tokenizer: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q, want it to have %q", err, c.want)
			}
		})
	}
	var unsupported *UnsupportedError
	if _, err := New(spm.with("model", "bert")); !errors.As(err, &unsupported) || unsupported.Value != "bert" {
		t.Errorf("got %v", err)
	}
}

func TestRoles(t *testing.T) {
	end, _ := mustNew(t, smallBPE()).Lookup("<|endoftext|>")
	for name, c := range map[string]struct {
		md             metadata
		bos, eos, eot  int32
		addBOS, addEOS bool
		ends           string // spellings, with bars between
	}{
		"llama": {smallSPM(), 1, 2, -1, true, false, "</s>"},
		"llama, all left open": {
			smallSPM().with("bos_token_id", nil, "eos_token_id", nil, "unknown_token_id", nil), 1, 2, -1, true, false, "</s>",
		},
		"llama, none written as -1": {
			smallSPM().with("padding_token_id", uint64(math.MaxUint32), "eos_token_id", uint64(math.MaxUint32)), 1, 2, -1, true, false, "</s>",
		},
		"gpt2": {smallBPE(), end, end, end, false, false, "<|endoftext|>"},
		"gpt2, all left open": {
			smallBPE().with("bos_token_id", nil, "eos_token_id", nil), 11, 11, end, false, false, "ċ|<|endoftext|>",
		},
		"words":                 {smallWords(), 1, -1, -1, true, false, ""},
		"words, no BOS wanted":  {smallWords().with("add_bos_token", false), 1, -1, -1, false, false, ""},
		"words without BOS":     {smallWords().with("bos_token_id", nil), -1, -1, -1, false, false, ""},
		"words, none but -1":    {smallWords().with("bos_token_id", uint64(math.MaxUint32)), -1, -1, -1, false, false, ""},
		"words with an end":     {smallWords().withToken("<eos>", KindControl), 1, -1, -1, true, false, "<eos>"},
		"words with EOS":        {smallWords().with("eos_token_id", 6, "add_eos_token", true), 1, 6, -1, true, true, "."},
		"glm4 has no BOS":       {smallBPE().with("pre", "glm4", "bos_token_id", nil), -1, end, end, false, false, "<|endoftext|>"},
		"llama3 adds BOS":       {smallBPE().with("pre", "llama-bpe"), end, end, end, true, false, "<|endoftext|>"},
		"unless it is told":     {smallBPE().with("pre", "llama-bpe", "add_bos_token", false), end, end, end, false, false, "<|endoftext|>"},
		"smaug does not":        {smallBPE().with("pre", "smaug-bpe"), end, end, end, false, false, "<|endoftext|>"},
		"tekken does":           {smallBPE().with("pre", "tekken", "add_eos_token", true), end, end, end, true, true, "<|endoftext|>"},
		"a small vocabulary":    {metadata{keyModel: "gpt2", keyTokens: []string{"a"}, keyMerges: []string{}}, -1, -1, -1, false, false, ""},
		"chat":                  {smallSPM().withToken("<|im_end|>", KindNormal).withToken("<|eom_id|>", KindControl), 1, 2, 301, true, false, "</s>|<|im_end|>|<|eom_id|>"},
		"EOT given":             {smallSPM().withToken("<|im_end|>", KindControl).with("eot_token_id", 7), 1, 2, 7, true, false, "</s>|<0x04>|<|im_end|>"},
		"filling in":            {smallSPM().withToken("<fim_pad>", KindNormal).withToken("<|file_sep|>", KindNormal).withToken("<reponame>", KindNormal), 1, 2, -1, true, false, "</s>|<fim_pad>|<|file_sep|>|<reponame>"},
		"harmony":               {smallSPM().withToken("<|end|>", KindControl).withToken("<|return|>", KindControl).withToken("<|call|>", KindControl), 1, 2, 301, true, false, "</s>|<|return|>|<|call|>"},
		"end without a call":    {smallSPM().withToken("<|end|>", KindControl).withToken("<|return|>", KindControl), 1, 2, 301, true, false, "</s>|<|end|>|<|return|>"},
		"tools that respond":    {smallSPM().withToken("<|tool_response>", KindControl), 1, 2, -1, true, false, "<|tool_response>"},
		"empty tokens are fine": {smallSPM().withToken("", KindNormal).withToken("", KindControl), 1, 2, -1, true, false, "</s>"},
	} {
		t.Run(name, func(t *testing.T) {
			tok := mustNew(t, c.md)
			role := func(id int32, ok bool) int32 {
				if ok != (id >= 0) {
					t.Errorf("id %d, %v", id, ok)
				}
				return id
			}
			if bos, eos, eot := role(tok.BOS()), role(tok.EOS()), role(tok.EOT()); bos != c.bos || eos != c.eos || eot != c.eot {
				t.Errorf("BOS, EOS, EOT are %d, %d, %d, want %d, %d, %d", bos, eos, eot, c.bos, c.eos, c.eot)
			}
			if tok.AddsBOS() != c.addBOS || tok.AddsEOS() != c.addEOS {
				t.Errorf("adds BOS %v, EOS %v, want %v, %v", tok.AddsBOS(), tok.AddsEOS(), c.addBOS, c.addEOS)
			}
			if got := spell(tok, tok.EndOfGeneration()); got != c.ends {
				t.Errorf("generation ends with %q, want %q", got, c.ends)
			}
			for id := int32(-1); int(id) <= tok.Size(); id++ {
				if tok.IsEndOfGeneration(id) != slices.Contains(tok.EndOfGeneration(), id) {
					t.Errorf("id %d", id)
				}
			}
		})
	}
}

func TestKinds(t *testing.T) {
	tok := mustNew(t, smallSPM().withToken("<|im_end|>", KindNormal).withToken("[U]", KindUserDefined).
		withToken("u", KindUnused).withToken("<|start|>", KindControl).withToken("<PRE>", KindNormal))
	for spelling, want := range map[string]Kind{
		"<unk>": KindUnknown, "<s>": KindControl, "he": KindNormal, "<0x41>": KindByte, "[U]": KindUserDefined, "u": KindUnused,
		"<|im_end|>": KindControl,     // ends a turn whatever its type
		"<PRE>":      KindControl,     // a role in filling in
		"<|start|>":  KindUserDefined, // printed
	} {
		id, ok := tok.Lookup(spelling)
		if !ok || tok.Kind(id) != want {
			t.Errorf("%q: %v, want %v", spelling, tok.Kind(id), want)
		}
	}
	if s := fmt.Sprint(KindControl, KindUserDefined, Kind(9)); s != "control user-defined kind(9)" {
		t.Errorf("got %q", s)
	}
	if _, ok := tok.Lookup("no such token"); ok {
		t.Error("found a token that is not there")
	}
	unk, ok := tok.UNK()
	if sep, sepOK := tok.SEP(); unk != 0 || !ok || sep != -1 || sepOK || tok.AddsSEP() {
		t.Error("UNK and SEP are wrong")
	}
	if pad, ok := mustNew(t, smallSPM().with("padding_token_id", 5)).PAD(); pad != 5 || !ok {
		t.Errorf("PAD is %d", pad)
	}
	if !mustNew(t, smallBPE().with("pre", "roberta-bpe")).AddsSEP() {
		t.Error("roberta adds no SEP")
	}
}

// TestManyGoroutines is of use with the race detector.
func TestManyGoroutines(t *testing.T) {
	for _, tok := range []*Tokenizer{mustNew(t, smallSPM()), mustNew(t, smallBPE())} {
		text := strings.Repeat("hello world, 中文 aaaa abab\n", 50) + strings.Repeat("ab", 3000)
		want := tok.Encode(text, EncodeOptions{AddSpecial: true})
		fresh := mustNew(t, map[bool]metadata{true: smallSPM(), false: smallBPE()}[tok.Model() == "llama"])
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					if got := fresh.Encode(text, EncodeOptions{AddSpecial: true}); !slices.Equal(got, want) {
						t.Error("goroutines disagree")
					}
					if back := fresh.Text(want, DecodeOptions{}); back != text {
						t.Error("the text does not come back")
					}
				}
			})
		}
		wg.Wait()
	}
}
