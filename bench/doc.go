// Package bench measures what a model can do: so far how well it predicts a text.
package bench
