// Package kernels holds the vector and matrix operations of the engine: the Go reference of each, the registry through
// which an implementation is chosen, and the team of threads that runs them.
//
// An operation works on whole rows and tiles, so that an implementation in assembly pays for its call once. Weights
// are multiplied as they are stored; activations are brought into the form that a weight type wants once per matrix
// (see [Activations]). No operation allocates, and each result element is summed by one thread in an order that
// depends on its operands alone: neither the number of threads nor what else is in a batch changes a bit.
package kernels
