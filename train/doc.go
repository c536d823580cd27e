// Package train trains the small models: graphs of Gorgonia, whose operations are this package's own, on a tape machine.
//
// Products go to the kernels of the engine, on a team of threads ([UseKernels]). An operation is a node that owns the memory of
// its result, so that steps allocate next to nothing; the gradient for each of its inputs is an operation of the same
// kind, written by hand. Neither the number of threads nor anything but operands changes a bit of a result.
package train
