package quant_test

import (
	"fmt"

	"github.com/mneme-lm/mneme/weights/quant"
)

func Example() {
	row := make([]float32, 32)
	for i := range row {
		row[i] = float32(i%16-8) / 4
	}
	size, err := quant.Q4_0.RowBytes(len(row))
	if err != nil {
		fmt.Println(err)
		return
	}
	data := make([]byte, size)
	if err := quant.Encode(quant.Q4_0, data, row); err != nil {
		fmt.Println(err)
		return
	}
	if err := quant.Decode(quant.Q4_0, row, data); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(size, row[0], row[16], row[31])
	// Output: 18 -2 -2 1.75
}

func ExampleParse() {
	t, err := quant.Parse("q4_k")
	fmt.Println(t, t.BlockLen(), t.BlockBytes(), err)
	_, err = quant.Parse("iq1_s")
	fmt.Println(err)
	// Output:
	// Q4_K 256 144 <nil>
	// quant: type IQ1_S is not supported; supported are F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16
}
