package kvcache

// kvzip keeps the rows that the model needs to say the text again: it reads an instruction to repeat it and then the
// block itself, and a row counts as much as the most attention that it gets (Kim et al. 2025, KVzip, section 3).
var kvzip = Kind{
	Name: "kvzip", Title: "rows that repeating the text attends to", Paper: "KVzip, arXiv 2505.23416",
	New: func(*Params, int) Policy { return kvzipPolicy{} },
}

const (
	repeat     = "\n\nNow say all of the text above once more, word for word:\n\n"
	repeatRoom = 32 // tokens of a block that are for the instruction
)

type kvzipPolicy struct{ maxima }

// Text leaves room for the text a second time, and for the instruction.
func (kvzipPolicy) Text(block int) int { return (block - min(repeatRoom, block/4)) / 2 }

// Probe is the instruction and the text. Of a longer text than there is room for it is the end, and of the instruction no
// more than its share.
func (kvzipPolicy) Probe(p *Probing) []int32 {
	var ids []int32
	if p.Encode != nil {
		ids = p.Encode(repeat)
	}
	ids = ids[:min(len(ids), max(p.Room-len(p.Block), min(repeatRoom, p.Room/3)))]
	return append(ids[:len(ids):len(ids)], last(p.Block, p.Room-len(ids))...)
}
