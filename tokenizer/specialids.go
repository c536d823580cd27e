package tokenizer

import "strings"

// specialIDs are the tokens with a role, -1 where a vocabulary has none, and whether they surround a text.
type specialIDs struct {
	bos, eos, eot, eom, unk, sep, pad int32
	fimPad, fimRepo, fimFile          int32
	addBOS, addEOS, addSEP            bool
}

// defaultIDs are the roles of a model's tokens where the metadata is silent, as in llama.cpp. A list of words has none but
// those that the metadata names; if it names a BOS token, texts begin with it.
func defaultIDs(r reader, model string, rule preRule) specialIDs {
	ids := specialIDs{bos: -1, eos: -1, eot: -1, eom: -1, unk: -1, sep: -1, pad: -1, fimPad: -1, fimRepo: -1, fimFile: -1}
	switch model {
	case modelLlama:
		ids.bos, ids.eos, ids.unk = 1, 2, 0
		ids.addBOS = true
		return ids
	case modelWords:
		bos, ok := r.md.Uint(keyBOS)
		ids.addBOS = ok && bos != noID
		return ids
	}
	ids.bos, ids.eos = 11, 11
	if rule.noBOS {
		ids.bos = -1
	}
	ids.addBOS, ids.addSEP = rule.addBOS, rule.addSEP
	return ids
}

// readSpecialIDs reads the roles of tokens from metadata.
func readSpecialIDs(r reader, v *vocabulary, ids specialIDs) (specialIDs, error) {
	for _, role := range []struct {
		name string
		id   *int32
	}{
		{"bos", &ids.bos}, {"eos", &ids.eos}, {"eot", &ids.eot}, {"eom", &ids.eom}, {"unknown", &ids.unk},
		{"seperator", &ids.sep}, // as GGUF spells it
		{"padding", &ids.pad}, {"fim_pad", &ids.fimPad}, {"fim_rep", &ids.fimRepo}, {"fim_sep", &ids.fimFile},
	} {
		id, err := r.tokenID("tokenizer.ggml."+role.name+"_token_id", len(v.text), *role.id)
		if err != nil {
			return ids, err
		}
		if !v.valid(id) {
			id = -1 // a default beyond a small vocabulary
		}
		*role.id = id
	}
	for _, f := range []struct {
		key   string
		value *bool
	}{{keyAddBOS, &ids.addBOS}, {keyAddEOS, &ids.addEOS}, {keyAddSEP, &ids.addSEP}} {
		var err error
		if *f.value, err = r.flag(f.key, *f.value); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// Spellings that tell the role of a token where the metadata does not. The first that a vocabulary has counts.
var (
	eotSpellings = []string{
		"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>",
		"[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>",
	}
	eomSpellings     = []string{"<|eom_id|>"}
	fimPadSpellings  = []string{"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}
	fimRepoSpellings = []string{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}
	fimFileSpellings = []string{"<|file_sep|>"}
	fimSpellings     = [][]string{ // of the tokens before, between and after the text to fill in
		{"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"},
		{"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"},
		{"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"},
	}
)

// detectSpecialIDs finds by spelling what the metadata left open, and makes these tokens control tokens.
func detectSpecialIDs(r reader, v *vocabulary, ids specialIDs) specialIDs {
	for _, role := range []struct {
		id        *int32
		spellings []string
	}{
		{&ids.eot, eotSpellings}, {&ids.eom, eomSpellings}, {&ids.fimPad, fimPadSpellings},
		{&ids.fimRepo, fimRepoSpellings}, {&ids.fimFile, fimFileSpellings},
	} {
		if *role.id < 0 {
			*role.id = v.makeControl(role.spellings)
		}
	}
	for i, keys := range [][2]string{{"fim_pre", "prefix"}, {"fim_suf", "suffix"}, {"fim_mid", "middle"}} {
		_, given := r.md.Uint("tokenizer.ggml." + keys[0] + "_token_id")
		_, deprecated := r.md.Uint("tokenizer.ggml." + keys[1] + "_token_id")
		if !given && !deprecated {
			v.makeControl(fimSpellings[i])
		}
	}
	return ids
}

// makeControl makes the first of the spellings that is a token a control token and returns its id, -1 if none is one.
func (v *vocabulary) makeControl(spellings []string) int32 {
	for _, s := range spellings {
		if id, ok := v.ids[s]; ok {
			v.attr[id] |= attrControl
			return id
		}
	}
	return -1
}

// setStripping marks the tokens around which a text loses its whitespace. GGUF does not say which those are; like
// llama.cpp, this goes by the name of the model.
func setStripping(r reader, v *vocabulary, pre string) {
	name, _ := r.md.String(keyName)
	name = strings.ToLower(name)
	arch, _ := r.md.String(keyArchitecture)
	switch {
	case containsAny(pre, "jina-v2-de", "jina-v2-es", "jina-v2-code"), containsAny(arch, "nomic-bert-moe", "jina-bert-v3"):
		v.addAttr("<mask>", attrLeftStrip)
	case containsAny(name, "phi-3", "phi3"):
		for id, a := range v.attr {
			if a&(attrSpecial|attrUserDefined) != 0 {
				v.attr[id] |= attrRightStrip
			}
		}
		v.addAttr("</s>", attrRightStrip)
		for _, s := range []string{"<unk>", "<s>", "<|endoftext|>"} {
			if id, ok := v.ids[s]; ok {
				v.attr[id] &^= attrRightStrip
			}
		}
	case containsAny(name, "modern-bert"):
		v.addAttr("[MASK]", attrLeftStrip)
	}
}

func (v *vocabulary) addAttr(spelling string, a attr) {
	if id, ok := v.ids[spelling]; ok {
		v.attr[id] |= a
	}
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
