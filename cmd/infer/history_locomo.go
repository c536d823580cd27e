package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// session is one of a LoCoMo conversation (Maharana et al., arXiv 2402.17753): its key and the number in it.
type session struct {
	key    string
	number int
}

// sessionsOf returns the sessions that an object holds, session_1 and so on, by number.
func sessionsOf(object map[string]json.RawMessage) []session {
	var sessions []session
	for key := range object {
		digits, ok := strings.CutPrefix(key, "session_")
		// Atoi takes a sign and zeros in front, which no session has.
		if n, err := strconv.Atoi(digits); ok && err == nil && strconv.Itoa(n) == digits && n >= 0 {
			sessions = append(sessions, session{key, n})
		}
	}
	slices.SortFunc(sessions, func(a, b session) int { return a.number - b.number })
	return sessions
}

// parseSessions reads the sessions of a conversation. The first utterance of each has its date. Dates of sessions that the
// file does not hold say nothing.
func parseSessions(item jsonItem, object map[string]json.RawMessage) ([]episodic.Utterance, error) {
	sessions := sessionsOf(object)
	if len(sessions) == 0 {
		return nil, item.errorf("has no session_1, session_2, …: %s", keysOf(object))
	}
	var list []episodic.Utterance
	for _, s := range sessions {
		turns, err := elements(item.member(object, s.key))
		if err != nil {
			return nil, err
		}
		utterances, err := parseUtterances(turns)
		if err != nil {
			return nil, err
		}
		if key := s.key + "_date_time"; object[key] != nil && len(utterances) > 0 {
			if utterances[0].Date, err = item.member(object, key).text(); err != nil {
				return nil, err
			}
		}
		list = append(list, utterances...)
	}
	return list, nil
}
