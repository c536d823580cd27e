// Package tokenizer turns text into token ids and back, as the metadata of a GGUF file describes it.
//
// Three kinds of vocabulary are known, by the value of tokenizer.ggml.model:
//
//   - llama: SentencePiece byte pair encoding. Neighbouring symbols merge in the order of the merged token's score, the
//     highest first, the leftmost among equals; a character that is no token becomes one token per byte (<0x0A>).
//     Spaces are written U+2581 in the vocabulary, and a text gets one in front if tokenizer.ggml.add_space_prefix is
//     not false (Kudo and Richardson, "SentencePiece", 2018).
//   - gpt2: byte-level byte pair encoding. A pre-tokenizer, named by tokenizer.ggml.pre, cuts the text into words; the
//     bytes of each word merge in the order of the list of merges (Sennrich et al., "Neural Machine Translation of Rare
//     Words with Subword Units", 2016; Radford et al., "Language Models are Unsupervised Multitask Learners", 2019).
//   - words: a list of whole words, for models that were trained on one; no other program writes or reads it. Whitespace
//     separates, and is not kept. Letters that follow each other, with an apostrophe between two of them, are a word; every
//     other character, such as a digit, is one of its own. A token whose spelling begins with U+2581 is printed with a
//     space before it, which a text loses at its start; others, such as punctuation, stick to what stands before them.
//     Words are looked up with U+2581, then without, as they are written, then in lower case, then with a capital in
//     front. What is not found becomes the unknown token, which such a vocabulary must have. Texts begin with BOS if the
//     metadata names it and tokenizer.ggml.add_bos_token does not say otherwise.
//
// The ids of llama and gpt2 agree with llama.cpp's for every valid UTF-8 text. Where the rule that a model was trained
// with and llama.cpp's version of it differ (the upper and lower case classes of tekken and gpt-4o outside ASCII),
// llama.cpp's is followed.
//
// A text that is not valid UTF-8 is encoded, never refused. With llama, the bytes of a broken character become byte
// tokens, so that they are not lost; they take as many of the bytes after them along as their first byte announces, and
// a space among these comes back as U+2581. With gpt2 and words, each byte that belongs to no character is read as
// U+FFFD.
//
// Encoding takes time proportional to the length of the text, times a logarithm for a text without a place to cut.
//
// A Tokenizer does not change after [New] and may be used by any number of goroutines.
package tokenizer
