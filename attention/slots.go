package attention

// Slots is the stingy position mapping of landmark attention (Mohtashami and Jaggi 2023, section 3.2): however long the text,
// stored blocks lie in at most Open+1 slots of a block's length before what is being read, so that a model that was
// trained on short texts meets no distance that it does not know. Blocks go by age, 0 being the oldest stored one.
//
//	stored    0 1 2 3 4 5 6 7 8 9   reading
//	slot      0 0 0 0 0 0 0 0 1 2   3 …       Stored 10, Open 2
//
// The newest Open blocks keep their true distance, all older ones share slot 0. Where not more than Open+1 are stored,
// every position is the true one. Rows are placed anew when their block is opened (Row), since no two open blocks may
// share a slot. In a first layer, whose keys are those of tokens alone, all landmarks have one key: there, blocks of slot 0
// have the same score, and which of them are opened is a matter of how ties are broken (Selector.Quickselect).
type Slots struct {
	Stored int // n, finished blocks
	Open   int // k, blocks that a query may open; no more than Stored are
	Block  int // B, rows of a block, its landmark included
}

// Slots is the number of slots before what is being read: min(n, k+1).
func (s Slots) Slots() int { return min(s.Stored, s.Open+1) }

// Opened is the number of blocks that a query opens: min(n, k).
func (s Slots) Opened() int { return min(s.Stored, s.Open) }

// Start is the position of the first row that belongs to no finished block. Those of the unfinished block that are read
// already come first, then those that are being read.
func (s Slots) Start() int { return s.Slots() * s.Block }

// Slot is the one that a block's landmark is scored in: 0 for all but the newest Open ones.
func (s Slots) Slot(block int) int { return max(0, block-(s.Stored-s.Slots())) }

// Landmark is the position that a block's landmark is scored at.
func (s Slots) Landmark(block int) int { return s.Slot(block)*s.Block + s.Block - 1 }

// Recent is the age of the oldest block that keeps its true distance when it is opened.
func (s Slots) Recent() int { return s.Stored - s.Opened() }

// Row is the position of the first row of an opened block, which is the rank-th of them by age. Old blocks are packed to the
// left and recent ones to the right, with an empty slot between them. A recent block that is opened beside old ones may come
// to lie a slot later than its landmark was scored in, where newer recent ones stay closed: never earlier.
func (s Slots) Row(rank, block int) int {
	if s.Stored > s.Open && block >= s.Recent() {
		rank++
	}
	return rank * s.Block
}
