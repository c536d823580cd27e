package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// conversationFlag is the flag that chooses among the conversations of a file, counted from 0.
const conversationFlag = "--conversation"

// readHistory returns the utterances of a conversation, oldest first. data is one of
//
//   - JSON lines, an object for each utterance: {"speaker", "text"} or {"role", "content"};
//   - a JSON list of such objects, or an object that has the list as "messages", "turns" or "conversation";
//   - LoCoMo's JSON: an object whose "conversation" has lists "session_1", "session_2" and so on, and their dates in
//     "session_1_date_time" and so on;
//   - several conversations of the latter two kinds, as a list or in lines, of which index is the one to read, from 0. An
//     index below 0 wants the file to hold one;
//   - a text in which "Name: " at the beginning of a line begins an utterance.
//
// Utterances without text are left out. name is the file's, for errors, which say what is wrong with which line or key.
func readHistory(data []byte, name string, index int) ([]episodic.Utterance, error) {
	if name == "-" {
		name = "standard input"
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	utterances, err := parseHistory(data, index)
	if err == nil && len(utterances) == 0 {
		err = errors.New("nobody says anything in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return utterances, nil
}

func parseHistory(data []byte, index int) ([]episodic.Utterance, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("line %d is not UTF-8", lineAt(data, validUTF8(data)))
	}
	if looksLikeJSON(data) {
		return parseJSONHistory(data, index)
	}
	if index > 0 {
		return nil, noConversation(index, 1)
	}
	return parseTextHistory(string(data)), nil
}

// noConversation is the error for an index that is too large.
func noConversation(index, n int) error {
	if n == 1 {
		return fmt.Errorf("there is no conversation %d (%s): it holds one, number 0", index, conversationFlag)
	}
	return fmt.Errorf("there is no conversation %d (%s): it holds %d, 0 to %d", index, conversationFlag, n, n-1)
}

// validUTF8 returns the length of the valid text that data begins with.
func validUTF8(data []byte) int {
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	return at
}

// lineAt returns the number of the line that holds a byte, from 1.
func lineAt(data []byte, at int) int { return 1 + bytes.Count(data[:min(at, len(data))], []byte("\n")) }

// addUtterance adds an utterance unless it has no text.
func addUtterance(list []episodic.Utterance, u episodic.Utterance) []episodic.Utterance {
	if strings.TrimSpace(u.Text) == "" {
		return list
	}
	return append(list, u)
}
