package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// groupKey is the annotation of a flag that says under which heading help lists it.
const groupKey = "group"

// addGroup gives a command flags that help lists under a heading, in the order in which define names them.
func addGroup(cmd *cobra.Command, heading string, define func(*pflag.FlagSet)) {
	set := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	set.SortFlags = false
	define(set)
	set.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{groupKey: {heading}} })
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(set)
}

// usage prints how a command is called.
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " COMMAND [flags]"
	}
	fmt.Fprintf(&b, "Usage:\n  %s\n", line)
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-12s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	for _, set := range groups(cmd) {
		fmt.Fprintf(&b, "\n%s:\n%s", set.Name(), set.FlagUsagesWrapped(100))
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}

// groups returns a command's flags by heading.
func groups(cmd *cobra.Command) []*pflag.FlagSet {
	var sets []*pflag.FlagSet
	add := func(f *pflag.Flag) {
		heading := "Flags for every command"
		if g := f.Annotations[groupKey]; len(g) > 0 {
			heading = g[0]
		} else if f.Name == "help" || f.Name == "version" {
			heading = "Other"
		}
		i := slices.IndexFunc(sets, func(s *pflag.FlagSet) bool { return s.Name() == heading })
		if i < 0 {
			i = len(sets)
			sets = append(sets, pflag.NewFlagSet(heading, pflag.ContinueOnError))
			sets[i].SortFlags = false
		}
		sets[i].AddFlag(f)
	}
	cmd.NonInheritedFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return sets
}

// newHelp makes the command that prints another one's help.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Print the help of a command",
		Example: "  infer help run",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, sub := range cmd.Root().Commands() {
				if len(args) == 0 && sub.IsAvailableCommand() {
					names = append(names, sub.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("no help on %q: no such command", strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			topic.SetOut(cmd.OutOrStdout())
			return topic.Help()
		},
	}
}
