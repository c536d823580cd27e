package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/kvcache/episodic"
	"pgregory.net/rapid"
)

func ann(text string) episodic.Utterance    { return episodic.Utterance{Speaker: "Ann", Text: text} }
func bob(text string) episodic.Utterance    { return episodic.Utterance{Speaker: "Bob", Text: text} }
func nobody(text string) episodic.Utterance { return episodic.Utterance{Text: text} }

func dated(date string, u episodic.Utterance) episodic.Utterance {
	u.Date = date
	return u
}

// locomo is a conversation whose sessions do not stand in order.
const locomo = `{"sample_id": "conv-7", "qa": [], "conversation": {
	"speaker_a": "Ann", "speaker_b": "Bob",
	"session_10": [{"speaker": "Ann", "dia_id": "D10:1", "text": "Third."}],
	"session_2_date_time": "2 May",
	"session_2": [
		{"speaker": "Ann", "text": ""},
		{"speaker": "Bob", "text": "Second.", "blip_caption": " a dog "},
		{"speaker": "Ann", "text": " ", "blip_caption": "a cat"}],
	"session_1_date_time": "1 May",
	"session_1": [{"speaker": "Ann", "text": "First.", "blip_caption": ""}],
	"session_10_summary": "", "session_x": 1, "session_03": 2, "session_11_date_time": "3 May"}}`

var locomoSaid = []episodic.Utterance{
	dated("1 May", ann("First.")), dated("2 May", bob("Second. [image: a dog]")), ann("[image: a cat]"), ann("Third."),
}

func TestReadHistory(t *testing.T) {
	for _, c := range []struct {
		name, data string
		index      int
		want       []episodic.Utterance
	}{
		{"lines of JSON", `{"speaker":"Ann","text":"Hi."}` + "\n\n" + `{"role":"Bob","content":"Ho.\nHum."}` + "\r\n", -1, []episodic.Utterance{ann("Hi."), bob("Ho.\nHum.")}},
		{"one line of JSON", `{"speaker":"Ann","text":"Hi.","id":3}`, -1, []episodic.Utterance{ann("Hi.")}},
		{"one line with a conversation's name", `{"speaker":"Ann","text":"Hi.","conversation":"c1"}`, -1, []episodic.Utterance{ann("Hi.")}},
		{"a list", "\ufeff [\n" + `{"speaker":"Ann","text":"Hi."}, {"content":"Ho.","role":"Bob"}]`, -1, []episodic.Utterance{ann("Hi."), bob("Ho.")}},
		{"keys of two kinds", `[{"speaker":"Ann","content":"Hi."}]`, 0, []episodic.Utterance{ann("Hi.")}},
		{"messages", `{"model":"m","messages":[{"role":"Ann","content":"Hi."}]}`, 0, []episodic.Utterance{ann("Hi.")}},
		{"turns", `{"turns":[{"role":"Ann","content":"Hi."},{"role":"Bob","content":" \n"}]}`, -1, []episodic.Utterance{ann("Hi.")}},
		{"conversation", `{"conversation":[{"role":"Ann","content":"Hi."}]}`, -1, []episodic.Utterance{ann("Hi.")}},
		{"the second of lines", `{"messages":[{"role":"Ann","content":"1"}]}` + "\n" + `{"messages":[{"role":"Ann","content":"2"}]}`, 1, []episodic.Utterance{ann("2")}},
		{"the first of a list", `[{"turns":[{"role":"Ann","content":"1"}]},{"turns":7}]`, 0, []episodic.Utterance{ann("1")}},
		{"LoCoMo", locomo, -1, locomoSaid},
		{"LoCoMo in a list", "[" + locomo + "]", -1, locomoSaid},
		{"LoCoMo, the second", `[{"conversation":{}},` + locomo + "]", 1, locomoSaid},
		{"LoCoMo's sessions alone", `{"session_1":[{"speaker":"Ann","text":"Hi."}]}`, -1, []episodic.Utterance{ann("Hi.")}},
		{"text", "Ann: Hi.\nBob:  Ho,\n  ho.\n\n- and ho\n\nAnn:\nWell: yes: no\n", -1, []episodic.Utterance{ann("Hi."), bob("Ho,\n  ho.\n\n- and ho"), {Speaker: "Ann"}, {Speaker: "Well", Text: "yes: no"}}},
		{"text before the first name", "A story.\nIt is long.\n\n \nMore at https://go.dev.\r\n\r\nAnn: Hi.", 0, []episodic.Utterance{nobody("A story.\nIt is long."), nobody("More at https://go.dev."), ann("Hi.")}},
		{"text without names", "[1] one\rtwo", -1, []episodic.Utterance{nobody("[1] one\ntwo")}},
		{"text that looks like JSON", `{not JSON}`, -1, []episodic.Utterance{nobody("{not JSON}")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := slices.DeleteFunc(c.want, func(u episodic.Utterance) bool { return u.Text == "" })
			got, err := readHistory([]byte(c.data), "talk.json", c.index)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v\nwant %q", got, err, want)
			}
		})
	}
}

func TestReadHistoryRefuses(t *testing.T) {
	const hi = `{"speaker":"Ann","text":"Hi."}`
	for _, c := range []struct {
		data  string
		index int
		want  string
	}{
		{"", -1, "nobody says anything"},
		{" \n", -1, "nobody says anything"},
		{"[]", -1, "nobody says anything"},
		{"Ann:\nBob: \n", -1, "nobody says anything"},
		{"Ann: a\nBob: \xff", -1, "line 2 is not UTF-8"},
		{"Ann: a", 1, "there is no conversation 1 (--conversation): it holds one, number 0"},
		{hi, 2, "there is no conversation 2 (--conversation): it holds one"},
		{hi + "\n" + `{"speaker":"Bob","text":"Ho."`, -1, "line 2 is not JSON: unexpected end"},
		{hi + ",\n" + hi, -1, "line 1 is not JSON: invalid character ','"},
		{hi + "\n\n{\"speaker\":\n7 8}", -1, "line 4 is not JSON: invalid character '8'"},
		{"[\n" + hi + "\n" + hi + "]", -1, "line 3 is not JSON: invalid character '{'"},
		{hi + "\n[" + hi + "]", -1, "line 2: is a list, want an object"},
		{hi + "\n\n" + `{"speaker":"Bob"}`, -1, `line 3: has none of "text", "content": it has "speaker"`},
		{"[" + hi + `,{"text":"Ho."}]`, -1, `element 1: has none of "speaker", "role": it has "text"`},
		{"[" + hi + `,null]`, -1, `element 1: is null, want an object`},
		{"[" + hi + `,{"role":"a","text":"b","content":"c"}]`, -1, `element 1: has both "text" and "content"`},
		{"[" + hi + `,{"role":"a","content":[{"type":"text"}]}]`, -1, `element 1, "content": is a list, want a string`},
		{"[" + hi + `,{"role":null,"content":"x"}]`, -1, `element 1, "role": is null, want a string`},
		{"[" + hi + `,{"role":"a","content":"x","blip_caption":true}]`, -1, `element 1, "blip_caption": is true or false, want a string`},
		{`[7]`, -1, `element 0: is a number, want an object`},
		{`{}`, -1, `is no utterance, with "speaker" and "text", or "role" and "content", and holds none as "messages", "turns" or "conversation": it is empty`},
		{`{"b":1,"a":2}`, -1, `or "conversation": it has "a", "b"`},
		{`[{"b":1},` + hi + "]", -1, `element 0: is no utterance`},
		{`{"messages":[],"turns":[]}`, -1, `has both "messages" and "turns"`},
		{`{"messages":[]}`, -1, `nobody says anything`},
		{`{"messages":"x"}`, -1, `"messages": is a string, want a list`},
		{`{"messages":{}}`, -1, `"messages": is an object, want a list`},
		{`{"conversation":3}`, -1, `"conversation": is a number, want a list`},
		{`{"conversation":{"speaker_a":"Ann"}}`, -1, `"conversation": has no session_1, session_2, …: it has "speaker_a"`},
		{`{"conversation":{"session_1":{}}}`, -1, `"conversation", "session_1": is an object, want a list`},
		{`{"conversation":{"session_1":[` + hi + `],"session_1_date_time":3}}`, -1, `"conversation", "session_1_date_time": is a number, want a string`},
		{`{"conversation":{"session_1":[` + hi + `],"session_2":[` + hi + `,{}]}}`, -1, `"conversation", "session_2", element 1: has none of "speaker", "role": it is empty`},
		{"[" + locomo + "," + locomo + "]", -1, "it holds 2 conversations (conv-7, conv-7): choose one with --conversation, 0 to 1"},
		{"[" + locomo + "," + locomo + "]", 2, "there is no conversation 2 (--conversation): it holds 2, 0 to 1"},
		{`[{"turns":[]},{"sample_id":7}]`, -1, "it holds 2 conversations: choose one"},
		{`[{"turns":[]},7]`, 1, "element 1: is a number, want an object"},
		{`[{"turns":[]},{"a":0}]`, 1, `element 1: has none of "messages", "turns", "conversation": it has "a"`},
		{`{"turns":[]}` + "\n" + `{"turns":[7]}`, 1, `line 2, "turns", element 0: is a number, want an object`},
	} {
		_, err := readHistory([]byte(c.data), "talk", c.index)
		if err == nil || !strings.HasPrefix(err.Error(), "talk: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\nerror %v\nwant  %s", c.data, err, c.want)
		}
	}
	if _, err := readHistory(nil, "-", -1); err == nil || !strings.HasPrefix(err.Error(), "standard input: ") {
		t.Errorf("error %v", err)
	}
}

func TestSplitName(t *testing.T) {
	for _, line := range []string{
		"Ann:", "Ann: x", "Ann:\tx", "user: x", "Dr. Ann O'Hara-Lee: x", "Speaker 2: x", "Bob (host): x", "Émile: x", "李雷: 你好", "R2-D2_x: x",
		"Ann  Lee: x", strings.Repeat("é", 40) + ": x",
	} {
		name, rest, ok := splitName(line)
		before, after, _ := strings.Cut(line, ":")
		if want := strings.Join(strings.Fields(before), " "); !ok || name != want || rest != strings.TrimSpace(after) {
			t.Errorf("%q: got %q, %q, %v", line, name, rest, ok)
		}
	}
	for _, line := range []string{
		"", ":", ": x", "x", " Ann: x", "\tAnn: x", "Ann : x", "Ann:x", "10:30", "https://go.dev", "She said: x", "Here is the list: x",
		"One Two Three Four Five: x", "**Ann**: x", "- Ann: x", "'Ann: x", "a, b: x", strings.Repeat("é", 41) + ": x",
	} {
		if name, _, ok := splitName(line); ok {
			t.Errorf("%q has the name %q", line, name)
		}
	}
}

// A conversation reads the same however it is written down.
func TestHistoryInEveryFormat(t *testing.T) {
	name := rapid.StringMatching(`[A-Z][a-z]{0,5}( [A-Z][a-z]{0,5}){0,2}`)
	line := rapid.StringMatching(`[a-z]{1,5}[ a-z.,:!]{0,20}[.!]`).Filter(func(s string) bool { _, _, named := splitName(s); return !named })
	rapid.Check(t, func(t *rapid.T) {
		var want []episodic.Utterance
		for range rapid.IntRange(1, 12).Draw(t, "utterances") {
			lines := rapid.SliceOfN(line, 1, 3).Draw(t, "lines")
			want = append(want, episodic.Utterance{Speaker: name.Draw(t, "speaker"), Text: strings.Join(lines, "\n")})
		}
		type turn struct {
			Speaker string `json:"speaker"`
			Text    string `json:"text"`
		}
		type message struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		}
		var turns []turn
		var messages []message
		var lines, plain strings.Builder
		sessions := map[string]any{"speaker_a": "A"}
		width := rapid.IntRange(1, 4).Draw(t, "session")
		datedWant := slices.Clone(want)
		for i, u := range want {
			turns, messages = append(turns, turn{u.Speaker, u.Text}), append(messages, message{u.Speaker, u.Text})
			data, _ := json.Marshal(messages[i])
			fmt.Fprintf(&lines, "%s\n", data)
			fmt.Fprintf(&plain, "%s: %s\n", u.Speaker, u.Text)
			key := fmt.Sprintf("session_%d", i/width+1)
			sessions[key] = turns[i/width*width : i+1]
			if i%width == 0 {
				sessions[key+"_date_time"], datedWant[i].Date = key, key
			}
		}
		formats := map[string]any{
			"list": turns, "messages": map[string]any{"messages": messages}, "turns": map[string]any{"turns": turns},
			"conversation": map[string]any{"conversation": messages}, "in a list": []any{map[string]any{"turns": turns}},
		}
		check := func(format, data string, want []episodic.Utterance) {
			if got, err := readHistory([]byte(data), format, -1); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: got %q, %v\nwant %q\nof %s", format, got, err, want, data)
			}
		}
		for format, value := range formats {
			data, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			check(format, string(data), want)
		}
		data, err := json.Marshal(map[string]any{"conversation": sessions})
		if err != nil {
			t.Fatal(err)
		}
		check("LoCoMo", string(data), datedWant)
		check("lines", lines.String(), want)
		check("text", plain.String(), want)
	})
}

// LoCoMo's ten conversations: how much is said in them, and what comes first and last.
func TestReadLoCoMo(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "convqa/locomo10.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readHistory(data, "locomo10.json", -1); err == nil || !strings.Contains(err.Error(), "10 conversations (conv-26, conv-30, ") {
		t.Errorf("no conversation chosen: %v", err)
	}
	total, dates := 0, 0
	for i := range 10 {
		utterances, err := readHistory(data, "locomo10.json", i)
		if err != nil {
			t.Fatal(err)
		}
		total += len(utterances)
		speakers := map[string]bool{}
		for _, u := range utterances {
			speakers[u.Speaker] = true
			if u.Date != "" {
				dates++
			}
		}
		if len(speakers) != 2 {
			t.Errorf("conversation %d has speakers %v", i, speakers)
		}
		if i > 0 {
			continue
		}
		if len(utterances) != 419 {
			t.Errorf("conversation 0 has %d utterances, want 419", len(utterances))
		}
		first := episodic.Utterance{Speaker: "Caroline", Text: "Hey Mel! Good to see you! How have you been?", Date: "1:56 pm on 8 May, 2023"}
		if utterances[0] != first {
			t.Errorf("the first utterance is %q", utterances[0])
		}
		const picture = "all the support. [image: a photo of a dog walking past a wall with a painting of a woman]"
		if !strings.HasSuffix(utterances[4].Text, picture) {
			t.Errorf("the utterance with a picture is %q", utterances[4].Text)
		}
	}
	if total != 5882 || dates != 272 {
		t.Errorf("%d utterances in %d sessions, want 5882 in 272", total, dates)
	}
	if _, err := readHistory(data, "locomo10.json", 10); err == nil {
		t.Error("there is an eleventh conversation")
	}
}

// Nothing that is read makes it panic, errors name the file, and what comes out is text.
func FuzzReadHistory(f *testing.F) {
	for _, seed := range []string{
		locomo, "[" + locomo + "]", `{"speaker":"Ann","text":"Hi."}` + "\n" + `{"role":"Bob","content":"Ho."}`, `[{"role":"a","content":"\ud800"}]`,
		`{"messages":[{"role":"a","content":"b"}]}`, "Ann: Hi.\nx\n\nBob (host):\n y", "A tale.\r\n\r\nAnn: Hi.", "{}", "[", "\ufeff",
	} {
		f.Add([]byte(seed), -1)
		f.Add([]byte(seed), 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, index int) {
		utterances, err := readHistory(data, "file", index)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "file: ") {
				t.Fatalf("error %v", err)
			}
			return
		}
		if len(utterances) == 0 {
			t.Fatal("no utterances, and no error")
		}
		for i, u := range utterances {
			if strings.TrimSpace(u.Text) == "" || !utf8.ValidString(u.Speaker+u.Text+u.Date) {
				t.Fatalf("utterance %d is %q", i, u)
			}
		}
		if again, err := readHistory(data, "file", index); err != nil || !slices.Equal(again, utterances) {
			t.Fatalf("got %q, then %q, %v", utterances, again, err)
		}
	})
}
