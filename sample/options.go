package sample

import (
	"cmp"
	"fmt"
	"math"
)

// Options configures a Chain. The zero value is greedy search; for anything else start from Default and change what
// differs, since a top_p or typ_p of 0 is refused rather than guessed at.
type Options struct {
	// Seed of the generator. New never draws a seed of its own: a caller that wants another text each time passes a
	// random one, and can tell its user which.
	Seed uint64

	// Temperature divides the logits. 0 or less: greedy search.
	Temperature float64
	// DynamicRange r > 0 makes the temperature move between max(0, Temperature − r) and Temperature + r.
	DynamicRange float64
	// DynamicExponent bends the way from entropy to temperature; 1 is straight.
	DynamicExponent float64

	// TopK keeps the k greatest logits. 0: all.
	TopK int
	// TopP in (0, 1] keeps the most probable tokens that together hold this share. 1: all.
	TopP float64
	// MinP in [0, 1] keeps tokens at least this fraction as probable as the best. 0: all.
	MinP float64
	// TypicalP in (0, 1] keeps the most typical tokens that together hold more than this share. 1: all.
	TypicalP float64
	// TopNSigma keeps logits within this many standard deviations of the greatest. 0: all.
	TopNSigma float64
	// XTCProbability in [0, 1] is how often the most probable choices are excluded. 0: never.
	XTCProbability float64
	// XTCThreshold in (0, 1] is the probability from which a token counts as a top choice. Above 0.5 there is never
	// more than one, so nothing is excluded.
	XTCThreshold float64
	// MinKeep is how many tokens each truncating sampler leaves at least.
	MinKeep int

	// RepeatLastN is how many of the tokens accepted last the penalties look at. 0: none; -1: ContextSize.
	RepeatLastN int
	// RepeatPenalty above 1 makes tokens that were seen less likely. 1, or 0: off.
	RepeatPenalty float64
	// FrequencyPenalty is taken off the logit once per occurrence.
	FrequencyPenalty float64
	// PresencePenalty is taken off the logit of every token that occurred.
	PresencePenalty float64

	// DRYMultiplier scales the penalty of a token that extends a repetition. 0: off.
	DRYMultiplier float64
	// DRYBase, at least 1, is what the penalty grows by with each further repeated token.
	DRYBase float64
	// DRYAllowedLength is the longest repetition that costs no more than DRYMultiplier.
	DRYAllowedLength int
	// DRYLastN is how many of the tokens accepted last are searched for repetitions. 0: none; -1: ContextSize.
	DRYLastN int
	// DRYBreakers are texts across which no repetition is counted, at most 40 bytes each.
	DRYBreakers []string
	// Vocabulary tells which tokens DRYBreakers are made of; needed only with those.
	Vocabulary Vocabulary

	// Mirostat is 0 (off) or 2 (Mirostat 2.0).
	Mirostat int
	// MirostatTau is the surprise to aim at, in bits per token.
	MirostatTau float64
	// MirostatEta is the learning rate.
	MirostatEta float64

	// LogitBias is added to the logits of these tokens before anything else. −Inf bans a token, +Inf forces it.
	// For an id beyond the logits Sample fails.
	LogitBias map[int32]float32

	// ContextSize is what a RepeatLastN or DRYLastN of -1 stands for. 0: every token accepted since the last Reset.
	ContextSize int
	// Order names the samplers to run, first to last. nil: DefaultOrder. Samplers not named do not run.
	Order []string
}

// Default returns llama.cpp's defaults, with seed 0.
func Default() Options {
	return Options{
		Temperature:      0.8,
		DynamicExponent:  1,
		TopK:             40,
		TopP:             0.95,
		MinP:             0.05,
		TypicalP:         1,
		XTCThreshold:     0.1,
		RepeatLastN:      64,
		RepeatPenalty:    1,
		DRYBase:          1.75,
		DRYAllowedLength: 2,
		DRYLastN:         -1,
		DRYBreakers:      []string{"\n", ":", "\"", "*"},
		MirostatTau:      5,
		MirostatEta:      0.1,
	}
}

// Greedy reports whether the options ask for greedy search.
func (o Options) Greedy() bool { return o.Temperature <= 0 }

// validate checks each parameter by itself and returns the first error; the builders of the samplers check what only matters if they run.
func (o *Options) validate() error {
	return cmp.Or(
		finite("temperature", o.Temperature),
		atLeast("dynatemp_range", o.DynamicRange, 0),
		atLeast("dynatemp_exponent", o.DynamicExponent, 0),
		countFrom("top_k", o.TopK, 0),
		share("top_p", o.TopP),
		share("min_p", o.MinP),
		share("typ_p", o.TypicalP),
		atLeast("top_n_sigma", o.TopNSigma, 0),
		share("xtc_probability", o.XTCProbability),
		share("xtc_threshold", o.XTCThreshold),
		countFrom("min_keep", o.MinKeep, 0),
		countFrom("repeat_last_n", o.RepeatLastN, -1),
		atLeast("repeat_penalty", o.RepeatPenalty, 0),
		finite("frequency_penalty", o.FrequencyPenalty),
		finite("presence_penalty", o.PresencePenalty),
		atLeast("dry_multiplier", o.DRYMultiplier, 0),
		atLeast("dry_base", o.DRYBase, 0),
		countFrom("dry_allowed_length", o.DRYAllowedLength, 0),
		countFrom("dry_penalty_last_n", o.DRYLastN, -1),
		atLeast("mirostat_tau", o.MirostatTau, 0),
		atLeast("mirostat_eta", o.MirostatEta, 0),
		countFrom("context_size", o.ContextSize, 0),
		o.validateMirostat(),
	)
}

func (o *Options) validateMirostat() error {
	if o.Mirostat != 0 && o.Mirostat != 2 {
		return fmt.Errorf("mirostat is %d, want 0 (off) or 2 (version 2)", o.Mirostat)
	}
	return nil
}

func finite(name string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%s is %v, want a finite number", name, v)
	}
	return nil
}

func atLeast(name string, v, least float64) error {
	if err := finite(name, v); err != nil {
		return err
	}
	if v < least {
		return fmt.Errorf("%s is %v, want at least %v", name, v, least)
	}
	return nil
}

func share(name string, v float64) error {
	if !(v >= 0 && v <= 1) {
		return fmt.Errorf("%s is %v, want a number from 0 to 1", name, v)
	}
	return nil
}

func countFrom(name string, v, least int) error {
	if v < least {
		return fmt.Errorf("%s is %d, want at least %d", name, v, least)
	}
	return nil
}
