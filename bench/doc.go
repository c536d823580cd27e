// Package bench measures what a model can do: how well it predicts a text, and how fast it runs, beside what the machine
// could do at best.
package bench
