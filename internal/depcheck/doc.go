// Package depcheck holds the rules about who may import whom, and the test that keeps them.
package depcheck
