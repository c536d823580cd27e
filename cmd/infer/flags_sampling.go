package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/mneme-lm/mneme/sample"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// samplingFlags say how tokens are chosen, under the names that llama.cpp gives them.
type samplingFlags struct {
	options  sample.Options
	samplers string
	breakers []string
	biases   []string
	seed     seed
}

// add gives a command the flags.
func (f *samplingFlags) add(cmd *cobra.Command) {
	f.options = sample.Default()
	o := &f.options
	f.breakers = o.DRYBreakers
	addGroup(cmd, "Sampling", func(set *pflag.FlagSet) {
		set.Float64Var(&o.Temperature, "temp", o.Temperature, "temperature; 0: always the best token")
		set.VarP(&f.seed, "seed", "s", "`seed` of the choice; -1: a random one")
		set.IntVar(&o.TopK, "top-k", o.TopK, "keep the `k` best tokens; 0: all")
		set.Float64Var(&o.TopP, "top-p", o.TopP, "keep the best tokens that hold this `share` of the probability; 1: all")
		set.Float64Var(&o.MinP, "min-p", o.MinP, "keep tokens at least this `fraction` as probable as the best; 0: all")
		set.Float64Var(&o.TopNSigma, "top-nsigma", o.TopNSigma, "keep tokens within this many `deviations` of the best logit; 0: all")
		set.Float64Var(&o.TypicalP, "typical", o.TypicalP, "keep the most typical tokens that hold this `share`; 1: all")
		set.Float64Var(&o.XTCProbability, "xtc-probability", o.XTCProbability, "`probability` of excluding the top choices; 0: never")
		set.Float64Var(&o.XTCThreshold, "xtc-threshold", o.XTCThreshold, "`probability` from which a token is a top choice")
		set.IntVar(&o.MinKeep, "min-keep", o.MinKeep, "`number` of tokens that each of these leaves at least")
		set.Float64Var(&o.DynamicRange, "dynatemp-range", o.DynamicRange, "how far the temperature moves with the entropy; 0: not")
		set.Float64Var(&o.DynamicExponent, "dynatemp-exp", o.DynamicExponent, "`exponent` of that movement")
		set.IntVar(&o.RepeatLastN, "repeat-last-n", o.RepeatLastN, "`number` of last tokens that are penalized; 0: none, -1: all")
		set.Float64Var(&o.RepeatPenalty, "repeat-penalty", o.RepeatPenalty, "penalty of repeated tokens; 1: none")
		set.Float64Var(&o.PresencePenalty, "presence-penalty", o.PresencePenalty, "penalty of tokens that occurred; 0: none")
		set.Float64Var(&o.FrequencyPenalty, "frequency-penalty", o.FrequencyPenalty, "penalty per occurrence; 0: none")
		set.Float64Var(&o.DRYMultiplier, "dry-multiplier", o.DRYMultiplier, "penalty of tokens that extend a repetition (DRY); 0: none")
		set.Float64Var(&o.DRYBase, "dry-base", o.DRYBase, "what that penalty grows by with each repeated token")
		set.IntVar(&o.DRYAllowedLength, "dry-allowed-length", o.DRYAllowedLength, "longest repetition without growing penalty")
		set.IntVar(&o.DRYLastN, "dry-penalty-last-n", o.DRYLastN, "`number` of last tokens searched for repetitions; 0: none, -1: all")
		set.StringArrayVar(&f.breakers, "dry-sequence-breaker", f.breakers, "`text` that ends a repetition (repeatable; none: no such text); default: line break, colon, quote, asterisk")
		set.Lookup("dry-sequence-breaker").DefValue = "[]" // which would take several lines of help
		set.IntVar(&o.Mirostat, "mirostat", o.Mirostat, "2: Mirostat 2.0 instead of the truncating samplers; 0: off")
		set.Float64Var(&o.MirostatEta, "mirostat-lr", o.MirostatEta, "Mirostat's learning `rate`")
		set.Float64Var(&o.MirostatTau, "mirostat-ent", o.MirostatTau, "Mirostat's target `entropy`, bits")
		set.StringVar(&f.samplers, "samplers", strings.Join(sample.DefaultOrder(), ";"), "the samplers to use, in their `order`")
		set.StringArrayVar(&f.biases, "logit-bias", nil, "`TOKEN(+|-)BIAS` added to a token's logit, 15043+1 or 15043-inf (repeatable)")
	})
}

// resolve completes the options. unescape is applied to texts from the command line.
func (f *samplingFlags) resolve(cmd *cobra.Command, unescape func(string) string) (sample.Options, error) {
	o := f.options
	o.Seed = f.seed.pick()
	if cmd.Flags().Changed("samplers") {
		o.Order = strings.FieldsFunc(f.samplers, func(r rune) bool { return r == ';' || r == ',' || r == ' ' })
		if o.Order == nil {
			o.Order = []string{}
		}
	}
	for _, s := range f.biases {
		id, bias, err := parseBias(s)
		if err != nil {
			return o, err
		}
		if o.LogitBias == nil {
			o.LogitBias = make(map[int32]float32)
		}
		o.LogitBias[id] += bias
	}
	o.DRYBreakers = f.sequenceBreakers(cmd, unescape)
	check := o
	check.Vocabulary = emptyVocabulary{}
	if _, err := sample.New(check); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// sequenceBreakers returns DRY's: those of the command line instead of the default ones.
func (f *samplingFlags) sequenceBreakers(cmd *cobra.Command, unescape func(string) string) []string {
	if !cmd.Flags().Changed("dry-sequence-breaker") {
		return f.breakers
	}
	var list []string
	for _, s := range f.breakers {
		if s = unescape(s); s == "none" {
			list = nil
		} else {
			list = append(list, s)
		}
	}
	return list
}

// emptyVocabulary stands in for the model's where options are only checked.
type emptyVocabulary struct{}

func (emptyVocabulary) Size() int                      { return 0 }
func (emptyVocabulary) Piece(int32) []byte             { return nil }
func (emptyVocabulary) Encode(string) ([]int32, error) { return nil, nil }

// parseBias reads TOKEN+BIAS or TOKEN-BIAS.
func parseBias(s string) (int32, float32, error) {
	wrong := usagef("--logit-bias: %q is not TOKEN(+|-)BIAS, as in 15043+1.5", s)
	at := strings.IndexAny(s, "+-")
	if at < 1 {
		return 0, 0, wrong
	}
	id, err := strconv.ParseInt(s[:at], 10, 32)
	if err != nil || id < 0 {
		return 0, 0, wrong
	}
	bias, err := strconv.ParseFloat(s[at+1:], 32)
	if err != nil || math.IsNaN(bias) || strings.ContainsAny(s[at+1:at+2], "+-") {
		return 0, 0, wrong
	}
	if s[at] == '-' {
		bias = -bias
	}
	return int32(id), float32(bias), nil
}

// seed is the flag of that name.
type seed struct {
	value uint64
	given bool
}

func (s *seed) String() string {
	if !s.given {
		return "-1"
	}
	return strconv.FormatUint(s.value, 10)
}

func (s *seed) Type() string { return "seed" }

func (s *seed) Set(text string) error {
	if text == "-1" {
		*s = seed{}
		return nil
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return usagef("want a whole number from 0 to %d, or -1", uint64(math.MaxUint64))
	}
	*s = seed{v, true}
	return nil
}

// pick returns the seed, or a random one: small enough that every reader of JSON keeps all its digits.
func (s *seed) pick() uint64 {
	if s.given {
		return s.value
	}
	return uint64(rand.Uint32())
}
