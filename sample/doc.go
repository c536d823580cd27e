// Package sample turns a row of logits into a token: a chain of samplers, then a seeded draw.
//
// A Chain adds the logit bias, runs its samplers in order and draws one token from what is left. The samplers, in the
// order of DefaultOrder, with l the logits, p = softmax(l) over the tokens that are still in the running, and "off"
// the value at which a sampler is left out:
//
//	name         effect                                                                      off
//	penalties    for a token seen c > 0 times in the last n: l/r if l > 0, else l·r;         last n = 0, or r = 1
//	             then l − c·frequency − presence                                             and both others 0
//	dry          l − multiplier · base^(m − allowed), where the token would extend a         multiplier 0
//	             repetition of m ≥ allowed tokens
//	top_n_sigma  keeps l ≥ max l − n·σ(l)                                                    0
//	top_k        keeps the k greatest                                                        0
//	typ_p        keeps the tokens whose surprise −ln p is nearest to the entropy, until      1
//	             they hold more than the share typ_p of the probability
//	top_p        keeps the most probable, until they hold the share top_p                    1
//	min_p        keeps p ≥ min_p · max p                                                     0
//	xtc          with a given probability, drops every token with p ≥ threshold except       probability 0
//	             the least probable of them
//	temperature  l/t; dynamic: t between t − range and t + range by the entropy of p         1
//
// A temperature of 0 or less is greedy search: after bias, penalties and dry the greatest logit wins, and nothing is
// drawn. With Mirostat 2 the truncating samplers (top_n_sigma, top_k, typ_p, top_p, min_p, xtc) are left out, and
// Mirostat chooses after bias, penalties, dry and temperature. Names and meanings are those of llama.cpp.
//
// Each sampler's file states its source.
//
// # What is defined
//
// Equal logits are ordered by id, the lower first, everywhere: in greedy search, in truncation and in the list of
// candidates. A NaN logit is ignored, and so is −Inf. If any logit is +Inf, only the tokens at +Inf are in the
// running, each as probable as the other. A row without a usable logit is an error.
//
// The draw is reproducible: the same options, seed, accepted tokens and logits give the same tokens on every platform.
// Random numbers come from ChaCha8 (C2SP chacha8rand, math/rand/v2), keyed with the seed's eight bytes in little-endian
// order followed by 24 zero bytes. Each Sample that is not greedy takes one 64-bit output for the draw, preceded by one
// for xtc if that is in the chain; the upper 53 bits are the number, in [0, 1). The draw walks the candidates, by
// rising id or, once top_k has dropped any, the greatest logit first, and takes the first at which the running sum of
// weights exceeds number × total. Exponentials and logarithms are computed in this package, from operations that IEEE
// 754 rounds alike everywhere, since those of package math differ in the last bit from one architecture to the next.
package sample
