package mneme

import (
	"path/filepath"
	"testing"
)

// What an answer says of the cache includes what was dropped when its episode was built, in memory and from a file.
func TestAnswerTellsOfRowsDropped(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	inMemory := ask(t, talk(t, m, WithIndependentQuestions()), "boat")
	folder := WithEpisodeFolder(filepath.Join(t.TempDir(), "episodes"))
	inFile := ask(t, talk(t, m, WithIndependentQuestions(), folder), "boat")
	for name, mem := range map[string]Memory{"in memory": inMemory.Memory, "in a file": inFile.Memory} {
		lanes := int64(m.Config().Layers * m.Config().KVHeads)
		if mem.Evictions == 0 || (mem.RowsEvicted+lanes-1)/lanes < int64(mem.RowsSeen-mem.RowsKept) {
			t.Errorf("%s: of %d rows seen %d are kept, and %d were evicted in %d evictions", name, mem.RowsSeen, mem.RowsKept, mem.RowsEvicted, mem.Evictions)
		}
	}
}
