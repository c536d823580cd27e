// Package fifo is the gated first-in-first-out memory: a bank of slots in a layer, which queries read by attention, and into
// which every chunk of the text is summarized once it is complete, through a gate; the oldest slots make room for it.
//
// It is made after Kashyap 2025 (arXiv 2507.00453), of which no more than the outline could be read: chunks, attention to a
// bank, the fusion of three paths with learned weights, a gate in the manner of GRU, first in first out. The gate's formula and
// every switch in Config are this project's, and are not as published.
package fifo
