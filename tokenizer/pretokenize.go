package tokenizer

import (
	"maps"
	"slices"
)

// splitFunc returns the length of the first piece of a text that is not empty. It is at least 1.
type splitFunc func(s string) int

// walk cuts a text by the first stage, each of its pieces by the next, and hands the pieces of the last to emit, in
// order. For a later stage a piece is a text of its own: whatever looks ahead sees its end.
func walk(text string, stages []splitFunc, emit func(word string)) {
	for text != "" {
		n := stages[0](text)
		if len(stages) == 1 {
			emit(text[:n])
		} else {
			walk(text[:n], stages[1:], emit)
		}
		text = text[n:]
	}
}

// preRule is what a value of tokenizer.ggml.pre means.
type preRule struct {
	stages       []splitFunc
	ignoreMerges bool
	addBOS       bool // where the metadata does not say
	addSEP       bool // where the metadata does not say
	noBOS        bool // there is no default BOS token
}

// defaultPre is what a file means that names no pre-tokenizer.
const defaultPre = "default"

// The rules that several pre-tokenizers share.
var (
	gpt2Stages   = []splitFunc{splitGPT2}
	digitStages  = []splitFunc{isolate(classNumber), splitGPT2}
	llama3Stages = []splitFunc{splitCL100K(3)}
	qwen2Stages  = []splitFunc{splitCL100K(1)}
	gpt4oStages  = []splitFunc{splitO200K(3, true)}
)

var preRules = buildPreRules()

func buildPreRules() map[string]preRule {
	rules := map[string]preRule{
		defaultPre: {stages: []splitFunc{
			isolateRuns(classPunct | classASCIISymbol), splitGPT2, isolateRuns(classNumber), isolateThreeDigits,
		}},
		"falcon": {stages: []splitFunc{
			isolateRuns(classPunct | classASCIISymbol | classBacktick), splitGPT2, isolateThreeDigits,
		}},
		"deepseek-llm": {stages: []splitFunc{
			isolate(classNewline), isolateSpacedRuns(classCased), isolateSpacedRuns(classMark), isolateTrailingSpace,
			isolateRuns(classIdeograph), isolateRuns(classNumber),
		}},
		"deepseek-coder": {stages: []splitFunc{
			isolate(classNewline), isolateSpacedRuns(classLetter), isolateSpacedRuns(classPunct),
			isolateRuns(classIdeograph), isolate(classNumber),
		}},
		"tekken": {stages: []splitFunc{splitO200K(1, false)}, ignoreMerges: true, addBOS: true},
	}
	share := func(rule preRule, names ...string) {
		for _, name := range names {
			rules[name] = rule
		}
	}
	share(preRule{stages: gpt2Stages},
		"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "modern-bert",
		"exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling")
	share(preRule{stages: gpt2Stages, addSEP: true}, "jina-v1-en", "jina-v2-code", "roberta-bpe")
	share(preRule{stages: digitStages},
		"starcoder", "refact", "smollm", "command-r", "cohere2_moe", "codeshell", "exaone", "minerva-7b", "mellum2")
	share(preRule{stages: llama3Stages, ignoreMerges: true, addBOS: true},
		"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "laguna", "jina-v5-nano")
	share(preRule{stages: llama3Stages}, "dbrx", "smaug-bpe")
	share(preRule{stages: llama3Stages, noBOS: true}, "glm4", "chatglm-bpe")
	share(preRule{stages: qwen2Stages},
		"qwen2", "deepseek-r1-qwen", "kormo", "openpangu", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open",
		"grok-2")
	share(preRule{stages: gpt4oStages}, "gpt-4o", "llama4", "kanana2", "minimax-m2")
	return rules
}

// findPreRule returns the rule of a pre-tokenizer.
func findPreRule(name string) (preRule, error) {
	rule, ok := preRules[name]
	if !ok {
		return preRule{}, &UnsupportedError{Key: keyPre, Value: name, Known: slices.Sorted(maps.Keys(preRules))}
	}
	return rule, nil
}
