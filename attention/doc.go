// Package attention computes what a query sees in a cache: softmax-weighted sums of values, by the online softmax, in
// which partial results over parts of the cache merge exactly.
package attention
