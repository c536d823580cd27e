package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/train"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Recipes for a model that is there: a memory on it, and all of it with landmarks, which is also one for a model of its own.
const (
	adapterRecipe  = "adapter"
	landmarkRecipe = "landmark"
)

// tunedBlock is the number of tokens between the landmarks of a model that gets some, as recipe landmark has it.
const tunedBlock = 16

// backboneFlags say what is trained on a model that is there.
type backboneFlags struct {
	path   string
	memory choice
	window int
	layers []int
}

// onlyAdapter are the flags that have a meaning for adapters alone.
var onlyAdapter = []string{"memory", "window", "layers"}

func (f *backboneFlags) add(cmd *cobra.Command) {
	f.memory = choice{value: model.MemoryNeural, offered: []string{model.MemoryFifo, model.MemoryNeural}}
	addGroup(cmd, "Model to train on", func(set *pflag.FlagSet) {
		addModelPath(set, &f.path)
		set.Var(&f.memory, "memory", "`kind` of an adapter's memory: fifo or neural")
		set.IntVar(&f.window, "window", 64, "`number` of rows that attention sees while an adapter is trained, and with it: what lies further back is to be remembered; 0: as many as ever")
		set.IntSliceVar(&f.layers, "layers", nil, "`numbers` of the layers that have an adapter's memory, from 0, with commas between; default: the one in the middle")
	})
	completeModelPath(cmd)
	cmd.RegisterFlagCompletionFunc("memory", cobra.FixedCompletions(f.memory.offered, cobra.ShellCompDirectiveNoFileComp))
}

// check finds flags that the recipe has no use for.
func (f *backboneFlags) check(flags *pflag.FlagSet, recipe string) error {
	switch {
	case recipe == adapterRecipe && f.path == "":
		return errNoModel
	case f.window < 0 || slices.ContainsFunc(f.layers, func(l int) bool { return l < 0 }):
		return usagef("--window %d, --layers %v: want no negative numbers", f.window, f.layers)
	case f.path != "" && recipe != adapterRecipe && recipe != landmarkRecipe:
		if _, err := lookupRecipe(recipe); err != nil {
			return err
		}
		return usagef("recipe %s trains a model of its own, not one that is there (-m)", recipe)
	case f.path != "" && flags.Changed("vocab"):
		return usagef("--vocab is for words that are learned from a text: here they are those of the model")
	case recipe == adapterRecipe:
		return nil
	}
	for _, flag := range onlyAdapter {
		if flags.Changed(flag) {
			return usagef("--%s is for recipe %s", flag, adapterRecipe)
		}
	}
	return nil
}

// adapter is the training of an adapter.
func (c *trainCommand) adapter() (t training, err error) {
	b, course, err := c.openBackbone(&t)
	if err != nil {
		return t, err
	}
	if slices.ContainsFunc(c.layers, func(l int) bool { return l >= b.Layers() }) {
		return t, usagef("--layers %v: want layers of the %d that the model has", c.layers, b.Layers())
	}
	layers := slices.Compact(slices.Sorted(slices.Values(c.layers)))
	t.recipe, err = train.Adapter{Memory: c.memory.value, Layers: layers, Window: c.window}.Recipe(b, course)
	t.write = (*train.Model).WriteAdapter
	return t, err
}

// landmarks is the training of a whole model.
func (c *trainCommand) landmarks() (t training, err error) {
	b, course, err := c.openBackbone(&t)
	if err != nil {
		return t, err
	}
	t.recipe, err = train.Tuning{Block: tunedBlock}.Recipe(b, course)
	t.write = (*train.Model).WriteTuned
	return t, err
}

// openBackbone opens the model to train on, and what it reads: the text, or stories, if its words are theirs.
func (c *trainCommand) openBackbone(t *training) (b *train.Backbone, course train.Course, err error) {
	if b, err = train.OpenBackbone(c.path); err != nil {
		return b, course, err
	}
	course = train.Course{Length: c.length, Steps: c.steps, Stories: c.text == ""}
	if course.Stories {
		if !b.Tales() {
			return b, course, usagef("the words of %s are not those of the stories: --text FILE says what to train with", c.path)
		}
		t.source = train.Stories{}
		return b, course, nil
	}
	data, err := os.ReadFile(c.text)
	if err != nil {
		return b, course, err
	}
	if t.source, err = b.Text(string(data)); err != nil {
		return b, course, fmt.Errorf("%s: %w", c.path, err)
	}
	return b, course, nil
}

// lookupRecipe finds a recipe for a model of its own.
func lookupRecipe(name string) (train.Recipe, error) {
	r, err := train.LookupRecipe(name)
	if err != nil {
		return r, usageError{fmt.Errorf("%w, and %s for a model that is there", err, adapterRecipe)}
	}
	return r, nil
}
