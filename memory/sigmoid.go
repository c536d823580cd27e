package memory

import "math"

// Sigmoid is 1/(1+exp(−x)), for gates that a token has few of.
func Sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
