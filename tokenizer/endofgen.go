package tokenizer

import (
	"maps"
	"slices"
)

// endSpellings are tokens that end a generation wherever they are in a vocabulary.
var endSpellings = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
	"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>",
	"<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>",
}

// harmonySpellings structure the messages of gpt-oss and are part of what it prints.
var harmonySpellings = []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}

// findEndOfGeneration collects the tokens after which nothing more is to be generated, ascending, by the rules of
// llama.cpp. Tokens known by their spelling become control tokens.
func findEndOfGeneration(v *vocabulary, ids specialIDs) []int32 {
	set := map[int32]bool{}
	for _, s := range endSpellings {
		if id := v.makeControl([]string{s}); id >= 0 {
			set[id] = true
		}
	}
	for _, s := range harmonySpellings {
		if id, ok := v.ids[s]; ok {
			v.attr[id] = attrUserDefined
		}
	}
	for _, id := range []int32{ids.fimPad, ids.fimRepo, ids.fimFile, ids.eos, ids.eot, ids.eom} {
		if id >= 0 {
			set[id] = true
		}
	}
	v.exceptEnds(set)
	return slices.Sorted(maps.Keys(set))
}

// exceptEnds takes out tokens whose spelling means something else in some vocabularies.
func (v *vocabulary) exceptEnds(set map[int32]bool) {
	has := func(spelling string) bool {
		id, ok := v.ids[spelling]
		return ok && set[id]
	}
	// Where a call ends a turn, <|end|> only ends a message.
	call := has("<|call|>") || has("<|calls|>")
	if call && (has("<|return|>") || has("<|flush|>")) {
		v.exceptEnd(set, "<|end|>", attrUserDefined)
	}
	// Where tools respond, </s> is plain text.
	if has("<|tool_response>") {
		v.exceptEnd(set, "</s>", attrNormal)
	}
}

// exceptEnd takes one token out and gives it other attributes.
func (v *vocabulary) exceptEnd(set map[int32]bool, spelling string, a attr) {
	id, ok := v.ids[spelling]
	if !ok || !set[id] {
		return
	}
	delete(set, id)
	v.attr[id] = a
}
