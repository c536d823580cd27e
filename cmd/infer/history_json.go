package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// jsonItem is a part of a JSON file, and where it stands there.
type jsonItem struct {
	raw   json.RawMessage
	place string
}

// errorf returns an error that begins with the place.
func (i jsonItem) errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if i.place == "" {
		return err
	}
	return fmt.Errorf("%s: %w", i.place, err)
}

// looksLikeJSON reports whether a file is to be read as JSON, and be wrong if it is none. Texts may begin with brackets,
// too.
func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 || data[0] != '{' && data[0] != '[' {
		return false
	}
	if inner := bytes.TrimLeft(data[1:], " \t\r\n"); len(inner) > 0 {
		if data[0] == '{' && inner[0] == '"' || data[0] == '[' && inner[0] == '{' {
			return true
		}
	}
	return json.Valid(data)
}

// parseJSONHistory reads a file of JSON: utterances, or conversations to choose from.
func parseJSONHistory(data []byte, index int) ([]episodic.Utterance, error) {
	items, err := jsonItems(data)
	if err != nil {
		return nil, err
	}
	if len(items) > 0 && isConversation(items[0].raw) {
		item, err := chooseConversation(items, index)
		if err != nil {
			return nil, err
		}
		return parseConversation(item)
	}
	if index > 0 {
		return nil, noConversation(index, 1)
	}
	if len(items) > 0 && !isUtterance(items[0].raw) {
		object, err := items[0].object()
		if err != nil {
			return nil, err
		}
		return nil, items[0].errorf(`is no utterance, with "speaker" and "text", or "role" and "content", `+
			`and holds none as "messages", "turns" or "conversation": %s`, keysOf(object))
	}
	return parseUtterances(items)
}

// jsonItems returns the elements of a file: those of its only list, or one value after the other.
func jsonItems(data []byte) ([]jsonItem, error) {
	var items []jsonItem
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		start := int(decoder.InputOffset())
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, jsonError(data, start, err)
		}
		line := lineAt(data, int(decoder.InputOffset())-len(raw))
		items = append(items, jsonItem{raw, fmt.Sprintf("line %d", line)})
	}
	if len(items) == 1 {
		items[0].place = ""
		if kindOf(items[0].raw) == "a list" {
			return elements(items[0])
		}
	}
	return items, nil
}

// jsonError says in which line the JSON that begins at start goes wrong. The decoder, whose error is err, counts from
// somewhere else.
func jsonError(data []byte, start int, err error) error {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	if again := json.Unmarshal(data[start:], &raw); errors.As(again, &syntax) {
		err = again
		start += int(syntax.Offset) - 1
	}
	return fmt.Errorf("line %d is not JSON: %w", lineAt(data, start), err)
}

// elements returns those of a list.
func elements(list jsonItem) ([]jsonItem, error) {
	var raws []json.RawMessage
	if kind := kindOf(list.raw); kind != "a list" {
		return nil, list.errorf("is %s, want a list", kind)
	}
	if err := json.Unmarshal(list.raw, &raws); err != nil {
		return nil, list.errorf("%w", err)
	}
	items := make([]jsonItem, len(raws))
	for i, raw := range raws {
		place := fmt.Sprintf("element %d", i)
		if list.place != "" {
			place = list.place + ", " + place
		}
		items[i] = jsonItem{raw, place}
	}
	return items, nil
}

// member returns the member of an object at item.
func (i jsonItem) member(object map[string]json.RawMessage, key string) jsonItem {
	place := strconv.Quote(key)
	if i.place != "" {
		place = i.place + ", " + place
	}
	return jsonItem{object[key], place}
}

// object returns an object's members.
func (i jsonItem) object() (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if kind := kindOf(i.raw); kind != "an object" {
		return nil, i.errorf("is %s, want an object", kind)
	}
	if err := json.Unmarshal(i.raw, &members); err != nil {
		return nil, i.errorf("%w", err)
	}
	return members, nil
}

// text returns a string.
func (i jsonItem) text() (string, error) {
	var s string
	if kind := kindOf(i.raw); kind != "a string" {
		return "", i.errorf("is %s, want a string", kind)
	}
	if err := json.Unmarshal(i.raw, &s); err != nil {
		return "", i.errorf("%w", err)
	}
	return s, nil
}

// kindOf names what a JSON value is.
func kindOf(raw json.RawMessage) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

// keysOf lists an object's keys for an error.
func keysOf(object map[string]json.RawMessage) string {
	if len(object) == 0 {
		return "it is empty"
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, strconv.Quote(key))
	}
	slices.Sort(keys)
	return "it has " + listed(keys)
}

// listed joins the first words of a list.
func listed(words []string) string {
	const most = 10
	if len(words) > most {
		words = append(slices.Clone(words[:most-1]), "…", words[len(words)-1])
	}
	return strings.Join(words, ", ")
}

// utteranceKeys are those of an utterance.
var utteranceKeys = []string{"speaker", "role", "text", "content"}

// turnKeys are those that an object may have its list of utterances under.
var turnKeys = []string{"messages", "turns", "conversation"}

// isUtterance reports whether an item of a file is meant as an utterance: an object with one of its keys.
func isUtterance(raw json.RawMessage) bool {
	object, err := jsonItem{raw: raw}.object()
	return err == nil && slices.ContainsFunc(utteranceKeys, func(key string) bool { return object[key] != nil })
}

// isConversation reports whether an item of a file holds utterances and is none itself.
func isConversation(raw json.RawMessage) bool {
	object, err := jsonItem{raw: raw}.object()
	if err != nil || isUtterance(raw) {
		return false
	}
	return slices.ContainsFunc(turnKeys, func(key string) bool { return object[key] != nil }) || len(sessionsOf(object)) > 0
}

// chooseConversation returns the conversation with an index, or the only one.
func chooseConversation(items []jsonItem, index int) (jsonItem, error) {
	switch {
	case index >= len(items):
		return jsonItem{}, noConversation(index, len(items))
	case index >= 0:
		return items[index], nil
	case len(items) > 1:
		var names []string
		for _, item := range items {
			object, err := item.object()
			if err != nil || object["sample_id"] == nil {
				continue
			}
			if id, err := item.member(object, "sample_id").text(); err == nil {
				names = append(names, id)
			}
		}
		which := ""
		if len(names) > 0 {
			which = " (" + listed(names) + ")"
		}
		return jsonItem{}, fmt.Errorf("it holds %d conversations%s: choose one with %s, 0 to %d",
			len(items), which, conversationFlag, len(items)-1)
	}
	return items[0], nil
}

// parseConversation reads an object that holds utterances.
func parseConversation(item jsonItem) ([]episodic.Utterance, error) {
	object, err := item.object()
	if err != nil {
		return nil, err
	}
	key, value, err := oneOf(object, turnKeys...)
	switch {
	case err != nil && value == nil && len(sessionsOf(object)) > 0:
		return parseSessions(item, object)
	case err != nil:
		return nil, item.errorf("%w", err)
	}
	turns := item.member(object, key)
	if key == "conversation" && kindOf(value) == "an object" {
		sessions, err := turns.object()
		if err != nil {
			return nil, err
		}
		return parseSessions(turns, sessions)
	}
	list, err := elements(turns)
	if err != nil {
		return nil, err
	}
	return parseUtterances(list)
}

// oneOf returns the one of some keys that an object has. With an error, value is nil if there is none of them.
func oneOf(object map[string]json.RawMessage, keys ...string) (key string, value json.RawMessage, err error) {
	for _, k := range keys {
		v, ok := object[k]
		switch {
		case !ok:
		case value != nil:
			return key, value, fmt.Errorf("has both %q and %q", key, k)
		default:
			key, value = k, v
		}
	}
	if value == nil {
		quoted := make([]string, len(keys))
		for i, k := range keys {
			quoted[i] = strconv.Quote(k)
		}
		return "", nil, fmt.Errorf("has none of %s: %s", strings.Join(quoted, ", "), keysOf(object))
	}
	return key, value, nil
}

// parseUtterances reads a list of objects.
func parseUtterances(items []jsonItem) ([]episodic.Utterance, error) {
	var list []episodic.Utterance
	for _, item := range items {
		u, err := parseUtterance(item)
		if err != nil {
			return nil, err
		}
		list = addUtterance(list, u)
	}
	return list, nil
}

// parseUtterance reads {"speaker", "text"} or {"role", "content"}. The caption of a picture that LoCoMo's speakers send is
// part of what they say.
func parseUtterance(item jsonItem) (u episodic.Utterance, err error) {
	object, err := item.object()
	if err != nil {
		return u, err
	}
	for _, part := range []struct {
		to   *string
		keys []string
	}{{&u.Speaker, []string{"speaker", "role"}}, {&u.Text, []string{"text", "content"}}} {
		key, _, err := oneOf(object, part.keys...)
		if err != nil {
			return u, item.errorf("%w", err)
		}
		if *part.to, err = item.member(object, key).text(); err != nil {
			return u, err
		}
	}
	if object["blip_caption"] == nil {
		return u, nil
	}
	caption, err := item.member(object, "blip_caption").text()
	if err != nil {
		return u, err
	}
	if caption = strings.TrimSpace(caption); caption != "" {
		u.Text = strings.TrimSpace(u.Text + " [image: " + caption + "]")
	}
	return u, nil
}
