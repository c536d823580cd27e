package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// landmarks are the keys of a model with landmark attention.
func landmarks() map[string]any {
	return map[string]any{
		"mneme.attention.kind":                  "landmark",
		"mneme.attention.landmark.block_length": uint32(16),
		"mneme.attention.landmark.token_id":     uint32(511),
		"mneme.attention.landmark.local":        uint32(64),
		"mneme.attention.landmark.blocks":       uint32(8),
	}
}

// with returns the keys with one changed.
func with(keys map[string]any, key string, value any) map[string]any {
	keys[key] = value
	return keys
}

func TestAttentionKinds(t *testing.T) {
	full, window, chunked, landmark := AttentionFull, AttentionWindow, AttentionChunked, AttentionLandmark
	for name, c := range map[string]struct {
		set      map[string]any
		kinds    []AttentionKind
		windows  []int
		chunk    int
		landmark Landmark
	}{
		"as written":  {nil, []AttentionKind{window, full}, []int{24, 0}, 0, Landmark{}},
		"absent":      {map[string]any{"mneme.attention.kind": nil}, []AttentionKind{full, full}, []int{0, 0}, 0, Landmark{}},
		"one for all": {map[string]any{"mneme.attention.kind": "window", "mneme.attention.sliding_window": uint32(1)}, []AttentionKind{window, window}, []int{1, 1}, 0, Landmark{}},
		"chunked": {
			map[string]any{"mneme.attention.kind": []string{"full", "chunked"}, "mneme.attention.chunk_length": uint32(64)},
			[]AttentionKind{full, chunked}, []int{0, 0}, 64, Landmark{},
		},
		"landmark":  {landmarks(), []AttentionKind{landmark, landmark}, []int{0, 0}, 0, Landmark{16, 511, 64, 8}},
		"no memory": {map[string]any{"mneme.memory.kind": "none"}, []AttentionKind{window, full}, []int{24, 0}, 0, Landmark{}},
	} {
		m, err := Load(edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: c.set}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var windows []int
		for _, l := range m.layers {
			windows = append(windows, l.window)
		}
		if !slices.Equal(m.AttentionKinds, c.kinds) || !slices.Equal(windows, c.windows) || m.ChunkLength != c.chunk || m.Landmark != c.landmark {
			t.Errorf("%s: kinds %v, windows %v, chunks of %d, %+v", name, m.AttentionKinds, windows, m.ChunkLength, m.Landmark)
		}
	}
	if got := AttentionKind(9).String(); got != "kind(9)" {
		t.Errorf("a kind that is none: %q", got)
	}
}

func TestAttentionKindsRefused(t *testing.T) {
	const prefix = "mneme.attention."
	for name, c := range map[string]struct {
		set  map[string]any
		want string
	}{
		"unknown kind":        {map[string]any{prefix + "kind": "sparse"}, `"sparse" (known: full, window, chunked, landmark)`},
		"kind as number":      {map[string]any{prefix + "kind": uint32(1)}, prefix + "kind"},
		"too few kinds":       {map[string]any{prefix + "kind": []string{"full"}}, "1 kinds for 2 layers"},
		"no window":           {map[string]any{prefix + "sliding_window": nil}, prefix + "sliding_window"},
		"window of nothing":   {map[string]any{prefix + "sliding_window": uint32(0)}, prefix + "sliding_window"},
		"no chunk length":     {map[string]any{prefix + "kind": "chunked"}, prefix + "chunk_length"},
		"chunks of nothing":   {map[string]any{prefix + "kind": "chunked", prefix + "chunk_length": uint32(0)}, prefix + "chunk_length"},
		"some with landmarks": {with(landmarks(), prefix+"kind", []string{"full", "landmark"}), prefix + "kind"},
		"no block length":     {with(landmarks(), prefix+"landmark.block_length", nil), prefix + "landmark.block_length"},
		"blocks of nothing":   {with(landmarks(), prefix+"landmark.block_length", uint32(0)), prefix + "landmark.block_length"},
		"no landmark token":   {with(landmarks(), prefix+"landmark.token_id", nil), prefix + "landmark.token_id"},
		"token beyond":        {with(landmarks(), prefix+"landmark.token_id", uint32(512)), prefix + "landmark.token_id"},
		"no local tokens":     {with(landmarks(), prefix+"landmark.local", uint32(0)), prefix + "landmark.local"},
		"no opened blocks":    {with(landmarks(), prefix+"landmark.blocks", uint64(1<<40)), prefix + "landmark.blocks"},
		"a memory":            {map[string]any{"mneme.memory.kind": "elephant"}, `"elephant" is not supported`},
		"memory as number":    {map[string]any{"mneme.memory.kind": uint32(1)}, "mneme.memory.kind"},
		"memory of nothing":   {map[string]any{"mneme.memory.kind": "neural"}, "mneme.memory.neural.head_count"},
		"experts":             {map[string]any{"mneme.expert_count": uint32(2), "mneme.expert_used_count": uint32(1)}, "no experts"},
	} {
		_, err := Load(edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: c.set}))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one with %s", name, err, c.want)
		}
	}
}
