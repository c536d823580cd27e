package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// speaker opens a random model with the words of the small language.
func speaker(t testing.TB) *mneme.Model {
	t.Helper()
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		t.Fatal(err)
	}
	shape.Embedding, shape.FeedForward, shape.Heads, shape.KVHeads, shape.Context, shape.Vocab = 32, 32, 2, 2, 96, max(260, len(tales.Words()))
	return changed(t, shape, func(md *weights.Metadata) error {
		for _, key := range md.Keys() {
			if strings.HasPrefix(key, "tokenizer.") {
				md.Delete(key)
			}
		}
		roles := convert.WordRoles{Padding: tales.Pad, Begin: tales.Begin, Landmark: tales.Landmark, Unknown: tales.Unknown, End: tales.End}
		return convert.SetWords(md, tales.Words(), roles)
	})
}

// changed opens a random model with other metadata.
func changed(t testing.TB, shape synth.Shape, change func(md *weights.Metadata) error) *mneme.Model {
	t.Helper()
	from := filepath.Join(t.TempDir(), "random.gguf")
	if err := synth.Write(t.Context(), from, shape, quant.F32, 1, nil); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	md := f.Metadata().Clone()
	if err := change(md); err != nil {
		t.Fatal(err)
	}
	var infos []weights.TensorInfo
	for _, x := range f.Tensors() {
		infos = append(infos, weights.TensorInfo{Name: x.Name, Type: x.Type, Shape: x.Shape})
	}
	to := filepath.Join(t.TempDir(), "changed.gguf")
	w, err := weights.Create(to, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, x := range f.Tensors() {
		if err := w.WriteTensor(x.Name, x.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, to)
}

// texts are haystacks made in a test.
type texts []struct {
	Place
	Haystack
}

func (x texts) Places() (list []Place) {
	for i := range x {
		list = append(list, x[i].Place)
	}
	return list
}

func (x texts) Size(number int) (int, int) { return x[number].length(), len(x[number].Questions) }

func (x texts) Haystack(number int) (Haystack, error) { return x[number].Haystack, nil }

func needle(t *testing.T, m *mneme.Model, h Haystacks, o NeedleOptions) *NeedleResult {
	t.Helper()
	r, err := Needle(t.Context(), m, h, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// greedy is what a model writes after tokens, by the definition.
func greedy(t *testing.T, m *mneme.Model, tokens []int32, n int, options ...mneme.SessionOption) (said []int32) {
	t.Helper()
	s, err := m.NewSession(options...)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		err := s.Evaluate(t.Context(), tokens, func(i int, logits []float32) error {
			if i == len(tokens)-1 {
				tokens = []int32{int32(slices.Index(logits, slices.Max(logits)))}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, tokens[0])
	}
	return said
}

// What the model writes by itself is held against the answer.
func TestNeedleAnswers(t *testing.T) {
	m := tiny(t)
	var x texts
	for i := range 6 {
		tokens := append(someTokens(40+i), int32(i))
		right := greedy(t, m, tokens, 3)
		if i%3 == 2 {
			right[2]++ // the last token alone is another
		}
		x = append(x, struct {
			Place
			Haystack
		}{Place{50, .5, i, fmt.Sprint("type ", i%2)}, Haystack{tokens[:40], []Question{{Tokens: tokens[40:], Answer: right}}}})
	}
	r := needle(t, m, x, NeedleOptions{Pass: .6})
	if len(r.Cells) != 1 || r.EffectiveContext != 50 || r.BeyondTrained != 0 {
		t.Fatalf("%+v", r)
	}
	c := r.Cells[0]
	want := map[string]NeedleCount{"type 0": {3, 2}, "type 1": {3, 2}}
	if c.Trials != 6 || c.Correct != 4 || c.Failed != 0 || !reflect.DeepEqual(c.Types, want) || !reflect.DeepEqual(r.Types, want) {
		t.Errorf("%+v, types %v", c, r.Types)
	}
	if c.Memory.RowsKept < 45 || c.Memory.RowsKept != c.Memory.RowsSeen || c.Memory.KVBytes == 0 {
		t.Errorf("memory %+v", c.Memory)
	}
	done, total := 0, 0
	progress := func(d, of int) { done, total = d, of }
	if r := needle(t, m, x, NeedleOptions{Pass: .7, Beside: []*mneme.Model{m, m}, Progress: progress}); r.EffectiveContext != 0 || !reflect.DeepEqual(r.Cells[0], c) {
		t.Errorf("three at a time: %+v, want %+v", r, c)
	}
	if done != 300 || total != 300 {
		t.Errorf("%d of %d tokens are done", done, total)
	}
}

// Every question is asked of the same cache, whatever was asked before, and no policy sees one before the text is within the budget.
func TestNeedleQuestions(t *testing.T) {
	m := tiny(t)
	text := someTokens(90)
	var questions []Question
	for i := range 4 {
		questions = append(questions, Question{Tokens: []int32{int32(20 + i), int32(300 - 7*i), 9}, Answer: make([]int32, 4)})
	}
	for _, policy := range []string{"snapkv", "h2o", "kvzip", "window"} {
		type kept map[int][]mneme.Eviction // by tokens read
		ask := func(questions []Question) (*NeedleTrial, kept) {
			rows := kept{}
			r := needleReader{model: m, options: []mneme.SessionOption{
				mneme.WithPolicy(policy), mneme.WithKVBudget(40), mneme.WithPrefillBlock(64),
				mneme.WithTrace(func(e mneme.Eviction) { rows[e.Step] = append(rows[e.Step], e) }),
			}}
			trial, err := r.try(t.Context(), texts{{Haystack: Haystack{text, questions}}}, 0, Place{Length: 97})
			if err != nil || trial.Error != "" {
				t.Fatal(err, trial)
			}
			return trial, rows
		}
		all, rows := ask(questions)
		alone := kept{}
		for i := range questions {
			one, own := ask(questions[i : i+1])
			if !slices.Equal(one.Answers[0].Tokens, all.Answers[i].Tokens) {
				t.Errorf("%s, question %d: %v alone, %v after others", policy, i, one.Answers[0].Tokens, all.Answers[i].Tokens)
			}
			if i > 0 && !reflect.DeepEqual(own[len(text)], alone[len(text)]) {
				t.Errorf("%s: what is kept of the text depends on the question", policy)
			}
			alone = own
		}
		for _, e := range rows[len(text)] {
			if e.Rows > 80 { // of one head; those of a layer share its budget
				t.Errorf("%s: %d rows of layer %d and head %d when the questions come", policy, e.Rows, e.Layer, e.Head)
			}
		}
		if len(rows[len(text)]) == 0 {
			t.Errorf("%s: nothing was dropped before the questions", policy)
		}
		slices.Reverse(questions)
		back, _ := ask(questions)
		slices.Reverse(questions)
		for i := range questions {
			if !slices.Equal(back.Answers[3-i].Tokens, all.Answers[i].Tokens) {
				t.Errorf("%s, question %d: another answer in another order", policy, i)
			}
		}
	}
}

// Texts that there is no memory for count, with the reason, do no harm to others, and are done again by who goes on.
func TestNeedleFailures(t *testing.T) {
	m := tiny(t)
	x := make(texts, 6)
	for i := range x {
		h := Haystack{someTokens(30), []Question{{Tokens: []int32{7}, Answer: greedy(t, m, append(someTokens(30), 7), 2)}}}
		x[i].Place, x[i].Haystack = Place{32 + 32*(i/3), 0, i % 3, ""}, h
	}
	huge := Question{Tokens: []int32{7}, MaxTokens: 1 << 40}
	x[1].Questions[0] = huge
	x[3].Questions = append(x[3].Questions, huge)
	x[4].Questions[0] = huge
	path := filepath.Join(t.TempDir(), "trials.jsonl")
	for run, beside := range [][]*mneme.Model{nil, {tiny(t)}} {
		if run > 0 {
			if data, err := os.ReadFile(path); err != nil || bytes.Count(data, []byte("\n")) != 1+3 {
				t.Fatalf("the log is %s, %v", data, err)
			}
		}
		l, err := OpenNeedleLog(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := needle(t, m, x, NeedleOptions{Log: l, Beside: beside})
		l.Close()
		if c := r.Cells[0]; c.Trials != 3 || c.Correct != 2 || c.Failed != 1 {
			t.Errorf("%+v", c)
		}
		if c := r.Cells[1]; c.Trials != 4 || c.Correct != 1 || c.Failed != 3 {
			t.Errorf("%+v", c)
		}
		for i, want := range []NeedleFailure{{32, "available: not enough memory", 1, 1}, {64, "available: not enough memory", 2, 3}} {
			if i >= len(r.Failures) || r.Failures[i].Length != want.Length || !strings.Contains(r.Failures[i].Message, want.Message) || r.Failures[i].Count != want.Count || r.Failures[i].Questions != want.Questions {
				t.Errorf("failures %+v, want %+v", r.Failures, want)
			}
		}
		if len(r.Failures) != 2 || r.EffectiveContext != 0 || r.Tokens != []int{128, 0}[run] || r.Resumed != 3*run {
			t.Errorf("%+v", r)
		}
	}
}

// failing are texts of which one cannot be had for the first times.
type failing struct {
	texts
	at    int
	times *atomic.Int32
	err   error
}

func (x failing) Haystack(number int) (Haystack, error) {
	if number == x.at && x.times.Add(-1) >= 0 {
		return Haystack{}, x.err
	}
	return x.texts.Haystack(number)
}

// What there is no memory for beside other texts is tried again alone, and an error that says nothing of the model ends the measurement,
// with what was done before in the log.
func TestNeedlePassingErrors(t *testing.T) {
	m := tiny(t)
	x := make(texts, 5)
	for i := range x {
		x[i].Place, x[i].Haystack = Place{32, 0, i, ""}, Haystack{someTokens(30), []Question{{Tokens: []int32{7}, Answer: []int32{1}}}}
	}
	times := func(n int32) *atomic.Int32 { v := new(atomic.Int32); v.Store(n); return v }
	none := fmt.Errorf("some text: %w", mneme.ErrMemory)
	if r := needle(t, m, failing{x, 1, times(1), none}, NeedleOptions{Beside: []*mneme.Model{tiny(t)}}); len(r.Failures) != 0 || r.Tokens != 5*32 {
		t.Errorf("once: %+v", r)
	}
	if r := needle(t, m, failing{x, 1, times(2), none}, NeedleOptions{Beside: []*mneme.Model{tiny(t)}}); len(r.Failures) != 1 || r.Cells[0].Failed != 1 || r.Tokens != 4*32 {
		t.Errorf("twice: %+v", r)
	}
	path := filepath.Join(t.TempDir(), "trials.jsonl")
	l, err := OpenNeedleLog(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Needle(t.Context(), m, failing{x, 3, times(9), os.ErrClosed}, NeedleOptions{Log: l})
	if !errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), "text 3 of 32 tokens") || strings.Count(err.Error(), "needle:") != 1 {
		t.Errorf("%v", err)
	}
	l.Close()
	if r := logged(t, m, x, path, nil); r.Resumed != 3 || len(r.Failures) != 0 {
		t.Errorf("%+v", r)
	}
	x[2].Haystack.Tokens = []int32{1, 600}
	if _, err := Needle(t.Context(), m, x, NeedleOptions{}); err == nil || !strings.Contains(err.Error(), "token 600 is not") {
		t.Errorf("a token that there is not: %v", err)
	}
}

// A memory that diverges has the text count as not answered.
func TestNeedleDiverged(t *testing.T) {
	shape, err := synth.Lookup("mneme-lmm-tiny")
	if err != nil {
		t.Fatal(err)
	}
	m := changed(t, shape, func(md *weights.Metadata) error { return md.Set("mneme.memory.neural.step_max", float32(1e30)) })
	x := make(texts, 3)
	for i := range x {
		x[i].Place, x[i].Haystack = Place{170, .5, i, ""}, Haystack{someTokens(160), []Question{{Tokens: []int32{int32(i)}, Answer: []int32{7}}}}
	}
	for _, o := range []NeedleOptions{{}, {Session: []mneme.SessionOption{mneme.WithMemory("none")}}} {
		r := needle(t, m, x, o)
		if o.Session == nil && (len(r.Failures) != 1 || r.Failures[0].Count != 3 || !strings.Contains(r.Failures[0].Message, "layer") || r.Cells[0].Failed != 3) {
			t.Errorf("%+v", r)
		}
		if o.Session != nil && (len(r.Failures) != 0 || r.Cells[0].Failed != 0) {
			t.Errorf("without what diverges: %+v", r)
		}
	}
}

func TestNeedleRefused(t *testing.T) {
	m := tiny(t)
	one := texts{{Place{Length: 9}, Haystack{[]int32{1}, []Question{{Tokens: []int32{1}, Answer: []int32{1}}}}}}
	for want, c := range map[string]struct {
		h Haystacks
		o NeedleOptions
	}{
		"no texts":          {texts{}, NeedleOptions{}},
		"number 0 at depth": {append(one, one...), NeedleOptions{}},
		"a share of 2":      {one, NeedleOptions{Pass: 2}},
		"-1 tokens":         {one, NeedleOptions{Context: -1}},
		"no policy":         {one, NeedleOptions{Session: []mneme.SessionOption{mneme.WithPolicy("some"), mneme.WithKVBudget(99)}}},
		"kind fifo":         {one, NeedleOptions{Session: []mneme.SessionOption{mneme.WithMemory("fifo")}}},
	} {
		if _, err := Needle(t.Context(), m, c.h, c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestEffectiveContext(t *testing.T) {
	for want, cells := range map[int][]string{
		0:  {"8 xo", "16 oo"},
		8:  {"8 oo", "16 ox", "32 oo"},
		16: {"8 oo", "16 oo", "32 xo"},
		17: {"4 o", "17 ooo"},
		9:  {"9 o", "17 oox"},
		1:  {"0 ", "1 o", "2 x"},
	} {
		var list []NeedleCell
		for _, line := range cells {
			var length int
			var marks string
			fmt.Sscan(line, &length, &marks)
			for i, mark := range marks {
				c := NeedleCell{Length: length, Depth: float64(i) / 4, NeedleCount: NeedleCount{Trials: 10, Correct: 8}}
				if mark == 'o' {
					c.Correct = 9
				}
				list = append(list, c)
			}
		}
		if got := effectiveContext(list, .9); got != want {
			t.Errorf("%q: %d, want %d", cells, got, want)
		}
	}
}

// Every text is another one, of its length, about a fact at its depth, in all kinds in turn; and the same with the same seed.
func TestTales(t *testing.T) {
	m := speaker(t)
	g := Grid{Lengths: []int{300, 200, 300}, Depths: []float64{0, .5, 1}, Trials: 8, Seed: 3}
	x, err := NewTales(m, g, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Places()) != 2*3*8 {
		t.Fatalf("%d places", len(x.Places()))
	}
	seen, types := map[string]Place{}, map[string]int{}
	for i, p := range x.Places() {
		h, err := x.Haystack(i)
		if err != nil {
			t.Fatal(err)
		}
		if h.length() != p.Length {
			t.Fatalf("%+v has %d tokens", p, h.length())
		}
		types[p.Type]++
		text := m.Tokenizer().Text(h.Tokens[:100], tokenizer.DecodeOptions{})
		if other, ok := seen[text]; ok {
			t.Fatalf("%+v and %+v are the same text", p, other)
		}
		seen[text] = p
		q := h.Questions[0]
		asked, answer := m.Tokenizer().Text(q.Tokens, tokenizer.DecodeOptions{}), m.Tokenizer().Text(q.Answer, tokenizer.DecodeOptions{})
		if !strings.HasSuffix(asked, "?") || strings.Contains(asked, ".") || !strings.HasSuffix(answer, ".") || h.Tokens[0] != tales.Begin {
			t.Fatalf("%q, %q", asked, answer)
		}
	}
	if len(types) != tales.Kinds {
		t.Errorf("types %v", types)
	}
	again, err := NewTales(m, Grid{Lengths: []int{300}, Depths: []float64{.5}, Trials: 2, Seed: 3}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range again.Places() {
		a, _ := again.Haystack(i)
		at := slices.Index(x.Places(), p)
		b, _ := x.Haystack(at)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%+v is another text in another grid", p)
		}
	}
	for want, c := range map[string]struct {
		g     Grid
		facts int
	}{
		"more than":          {Grid{Lengths: []int{40}, Depths: []float64{0}, Trials: 9}, 9},
		"0 facts":            {Grid{Lengths: []int{400}, Depths: []float64{0}, Trials: 1}, 0},
		"0 trials":           {Grid{Lengths: []int{400}, Depths: []float64{0}}, 1},
		"from 0 to 2":        {Grid{Lengths: []int{400}, Depths: []float64{0, 2}, Trials: 1}, 1},
		"from 0 to 0 tokens": {Grid{Lengths: []int{0}, Depths: []float64{0}, Trials: 1}, 1},
	} {
		_, err := NewTales(m, c.g, c.facts)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := NewTales(tiny(t), g, 3); err == nil || !strings.Contains(err.Error(), `"llama"`) {
		t.Errorf("a model of other tokens: %v", err)
	}
}

// What the prototypes answered where they were trained is what they answer here.
func TestNeedlePrototypes(t *testing.T) {
	if testing.Short() {
		t.Skip("reads some sixty documents")
	}
	data, err := os.ReadFile(testdata.Shared(t, "prototypes/needles.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var some []byte
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(`"length": 256,`)) {
			some = append(some, line...)
		}
	}
	for name, want := range map[string][3]int{"base": {19, 20, 19}} {
		path := filepath.Join(t.TempDir(), name+".gguf")
		if _, err := convert.Convert(t.Context(), path, testdata.Shared(t, "prototypes/"+name+".safetensors"), convert.Options{Type: quant.F32}); err != nil {
			t.Fatal(err)
		}
		m := open(t, path)
		d, err := ReadDocuments(bytes.NewReader(some), m)
		if err != nil {
			t.Fatal(err)
		}
		r := needle(t, m, d, NeedleOptions{Session: []mneme.SessionOption{mneme.WithKVType(quant.F32)}})
		for i, c := range r.Cells {
			if off := c.Correct - want[i]; c.Trials != 20 || off < -1 || off > 1 {
				t.Errorf("%s, depth %g: %d of %d, want %d", name, c.Depth, c.Correct, c.Trials, want[i])
			}
		}
	}
}

func TestDocuments(t *testing.T) {
	m := speaker(t)
	d, err := ReadDocuments(strings.NewReader(`{"tokens":[1,5,6],"question":[7,8],"answer":[9],"depth":0.5,"type":"a"}

{"text":"it was a hot night .","question":"how was it ?","answer":"hot","depth":0.5,"length":12}
{"text":"it was a hot night .","question":"how was it ?","answer":["hot","night"],"depth":0.25,"length":12}`), m)
	if err != nil {
		t.Fatal(err)
	}
	want := []Place{{6, .5, 0, "a"}, {12, .5, 0, ""}, {12, .25, 0, ""}}
	if !slices.Equal(d.Places(), want) {
		t.Errorf("places %+v", d.Places())
	}
	h, _ := d.Haystack(0)
	if !slices.Equal(h.Tokens, []int32{1, 5, 6}) || !slices.Equal(h.Questions[0].Tokens, []int32{7, 8}) || !slices.Equal(h.Questions[0].Answer, []int32{9}) {
		t.Errorf("%+v", h)
	}
	h, _ = d.Haystack(2)
	q := h.Questions[0]
	if h.Tokens[0] != tales.Begin || len(h.Tokens) != 7 || len(q.Tokens) != 4 || !slices.Equal(q.Expected, []string{"hot", "night"}) || q.MaxTokens != 2+spareTokens {
		t.Errorf("%+v", h)
	}
	if q.right(&NeedleAnswer{Text: "a hot day"}) || !q.right(&NeedleAnswer{Text: "a Night, HOT"}) {
		t.Error("the answer is all that is expected")
	}
	line, _ := json.Marshal(map[string]any{"tokens": append([]int32{tales.Begin}, ids32(tales.Encode("it was hot . how was it ?"))...), "answer": []int{5}})
	if d, err = ReadDocuments(bytes.NewReader(line), m); err != nil {
		t.Fatal(err)
	}
	if h, _ = d.Haystack(0); len(h.Tokens) != 5 || len(h.Questions[0].Tokens) != 4 {
		t.Errorf("the question is %v", h.Questions[0].Tokens)
	}
	for line, want := range map[string]string{
		"":                        "no documents",
		"{":                       "line 1",
		`{"tokens":[1],"x":1}`:    "single sentence",
		`{"tokens":[1,2,3,4]}`:    "single sentence",
		`{"depth":1}`:             "neither",
		`{"text":"","tokens":[]}`: "both",
		`{"tokens":[1],"question":"x","answer":[1]}`:                                      "a list of ids",
		`{"tokens":[1],"question":[1],"answer":"x"}`:                                      "a list of ids",
		`{"tokens":[1],"question":[1],"answer":[]}`:                                       "a list of ids",
		`{"tokens":[1],"question":[999],"answer":[1]}`:                                    "no token 999",
		`{"tokens":[1],"question":[1],"answer":[-1]}`:                                     "no token -1",
		`{"tokens":[1],"question":[1],"answer":[1],"depth":2}`:                            "depth 2",
		`{"tokens":[1],"question":[1],"answer":[1],"length":-2}`:                          "length -2",
		`{"tokens":[1],"question":[1],"answer":[1],"length":9223372036854775807}`:         "length 9223372036854775807",
		`{"text":"a","question":" ","answer":"a"}`:                                        "the question",
		`{"text":"a","question":"b","answer":[]}`:                                         "answer is empty",
		`{"text":"a","question":"b","answer":["a",""]}`:                                   "answer is empty",
		`{"text":"a","question":"b"}`:                                                     "the answer is missing",
		`{"text":"a","question":"b","answer":{"a":"` + strings.Repeat("long", 20) + `"}}`: "…",
	} {
		if _, err := ReadDocuments(strings.NewReader(line), m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

func ids32(ids []int) (list []int32) {
	for _, id := range ids {
		list = append(list, int32(id))
	}
	return list
}

func FuzzReadDocuments(f *testing.F) {
	m := speaker(f)
	f.Add([]byte(`{"tokens":[1,5,6],"question":[7,8],"answer":[9],"depth":0.5,"type":"a"}`))
	f.Add([]byte(`{"text":"it was hot .","question":"how was it ?","answer":["hot"],"length":12}` + "\n\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ReadDocuments(bytes.NewReader(data), m)
		if err != nil {
			return
		}
		for i, p := range d.Places() {
			h, err := d.Haystack(i)
			if err != nil || p.Length < 1 || len(h.Questions) != 1 || h.Questions[0].tokens() < 1 || len(h.Questions[0].Tokens) == 0 && p.Type == "" && h.Questions[0].Answer != nil {
				t.Fatalf("%+v: %+v, %v", p, h, err)
			}
		}
	})
}

// logged measures with a log, and returns what came out without what differs from run to run.
func logged(t *testing.T, m *mneme.Model, h Haystacks, path string, settings []Setting) *NeedleResult {
	t.Helper()
	l, err := OpenNeedleLog(path, settings)
	if err != nil {
		t.Fatal(err)
	}
	r := needle(t, m, h, NeedleOptions{Log: l})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r.Elapsed, r.Tokens = 0, 0
	return r
}

// A measurement that ended anywhere goes on to the same result.
func TestNeedleLog(t *testing.T) {
	m := speaker(t)
	x, err := NewTales(m, Grid{Lengths: []int{64, 96}, Depths: []float64{.5}, Trials: 3, Seed: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	settings := []Setting{{"--kv", "full"}, {"--seed", "1"}}
	path := filepath.Join(t.TempDir(), "trials.jsonl")
	want := logged(t, m, x, path, settings)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	if len(lines) != 1+6+1 || want.Resumed != 0 {
		t.Fatalf("%d lines, %d resumed", len(lines), want.Resumed)
	}
	again := func(name string, data []byte, resumed int) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := logged(t, m, x, path, settings)
		if r.Resumed != resumed {
			t.Fatalf("%s: %d trials were known, want %d", name, r.Resumed, resumed)
		}
		r.Resumed = 0
		if !reflect.DeepEqual(r, want) {
			t.Fatalf("%s: %+v, want %+v", name, r, want)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, whole) {
			t.Fatalf("%s: the log is\n%s\nwant\n%s", name, now, whole)
		}
	}
	for _, n := range []int{0, 1, len(lines[0]) - 1} {
		again(fmt.Sprint("begun, ", n), whole[:n], 0)
	}
	from := len(whole) - len(lines[6]) - len(lines[5])
	for n := from; n <= len(whole); n++ {
		known := 4 + bytes.Count(whole[from:n], []byte("\n"))
		l := &NeedleLog{trials: map[placeKey]*NeedleTrial{}}
		if good, err := l.read(whole[:n], settings); err != nil || len(l.trials) != known || good != len(bytes.Join(lines[:1+known], nil)) {
			t.Fatalf("cut at %d: %d bytes are good, %d trials known, want %d: %v", n, good, len(l.trials), known, err)
		}
	}
	for _, n := range []int{from, from + 1, from + len(lines[5]) - 1, from + len(lines[5]), len(whole) - 1, len(whole)} {
		again(fmt.Sprint("cut at ", n), whole[:n], 4+bytes.Count(whole[from:n], []byte("\n")))
	}
	twice := slices.Concat(bytes.Join(lines[:4], nil), lines[3])
	if err := os.WriteFile(path, twice, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := logged(t, m, x, path, settings); r.Resumed != 3 {
		t.Errorf("a trial twice: %d known", r.Resumed)
	}

	os.WriteFile(path, whole, 0o600)
	more, err := NewTales(m, Grid{Lengths: []int{64, 96}, Depths: []float64{.5}, Trials: 4, Seed: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if r := logged(t, m, more, path, settings); r.Resumed != 6 || r.Cells[0].Trials != 4 {
		t.Errorf("more trials: %d known, %+v", r.Resumed, r.Cells)
	}

	for _, c := range []struct {
		settings []Setting
		content  string
		want     string
	}{
		{[]Setting{{"--kv", "h2o"}, {"--seed", "2"}}, string(whole), "--kv was full, and is h2o; --seed was 1, and is 2"},
		{[]Setting{{"--kv", "full"}}, string(whole), "--seed was 1"},
		{append(settings, Setting{"--facts", "3"}), string(whole), "without --facts, which now is 3"},
		{settings, "a letter\n", "no log of trials"},
		{settings, "a letter", "no log of trials"},
		{settings, `{"needle_log":2,"settings":[]}` + "\n", "version 2"},
		{settings, `{"needle_log":1,"sett` + "?", "no log of trials"},
		{settings, string(whole[:from+3]) + "\x00" + string(whole[from+4:]), "line 6 is no trial"},
		{settings, string(whole[:from]) + "{}\n" + string(whole[from:]), "line 6 is no trial: 0 answers to 0 questions"},
	} {
		os.WriteFile(path, []byte(c.content), 0o600)
		if _, err := OpenNeedleLog(path, c.settings); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if now, _ := os.ReadFile(path); string(now) != c.content {
			t.Errorf("%q: a file that was refused was changed", c.want)
		}
	}
	var none *NeedleLog
	if none.finished(Place{}) != nil || none.add(&NeedleTrial{}) != nil || none.sync() != nil {
		t.Error("no log keeps something")
	}
	if _, err := OpenNeedleLog(filepath.Join(path, "x"), settings); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is a file: %v", err)
	}
}

func FuzzNeedleLog(f *testing.F) {
	settings := []Setting{{"a", "1"}}
	head, err := json.Marshal(logHead{logVersion, settings})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(head, '\n'))
	f.Add(append(head, "\n{\"length\":3,\"depth\":0.5,\"trial\":1,\"answers\":[{\"correct\":true}],\"asked\":1}\n{\"length\":4"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &NeedleLog{trials: map[placeKey]*NeedleTrial{}}
		good, err := l.read(data, settings)
		if err != nil {
			return
		}
		if good > len(data) || data[good-1] != '\n' {
			t.Fatalf("%d of %d bytes are good", good, len(data))
		}
		again := &NeedleLog{trials: map[placeKey]*NeedleTrial{}}
		if same, err := again.read(data[:good], settings); err != nil || same != good || len(again.trials) != len(l.trials) {
			t.Fatalf("what is good, %d bytes: %d, %v", good, same, err)
		}
	})
}
