// Package bpe makes a vocabulary out of a text, by byte pair encoding (Sennrich, Haddow and Birch, "Neural Machine
// Translation of Rare Words with Subword Units", 2016, algorithm 1) of bytes (Radford et al., "Language Models are
// Unsupervised Multitask Learners", 2019).
//
// At first every byte is a token. Then again and again the pair of neighbouring tokens that the text has most often becomes
// one token, within the words that GPT-2's pre-tokenizer cuts the text into. Package tokenizer, as the model gpt2, does the
// same to whatever it encodes, in the same order: it cuts the text that was learned from as learning did.
package bpe
