// Package train makes the small models, with a memory or without: graphs of Gorgonia, whose operations are this package's own, on
// a tape machine. [Run] follows a [Recipe]; [Model.Write] writes what comes of it as a GGUF file that the engine runs.
// A [Backbone] is a model of such a file that something is trained on: an [Adapter], a memory beside weights that stay as they are,
// or all of it with landmarks ([Tuning]).
//
// Products go to the kernels of the engine, on a team of threads; [Run] has Gorgonia's own products go there, too ([UseKernels]).
// An operation is a node that owns the memory of its result, so that steps allocate next to nothing; the gradient for each of its
// inputs is an operation of the same kind, written by hand. Neither the number of threads nor anything but operands changes a bit
// of a result.
package train
