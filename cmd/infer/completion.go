package main

import (
	"github.com/spf13/cobra"
)

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script by which a shell completes commands",
		Long:  "completion prints a script for bash, zsh, fish or powershell that has the shell complete infer's commands and flags.",
		Example: `  source <(infer completion bash)
  infer completion zsh > "${fpath[1]}/_infer"
  infer completion fish > ~/.config/fish/completions/infer.fish
  infer completion powershell | Out-String | Invoke-Expression`,
		Args:              exactly("SHELL"),
		ValidArgsFunction: cobra.FixedCompletions([]string{"bash", "zsh", "fish", "powershell"}, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.json {
				return usagef("completion prints a script, not JSON")
			}
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return usagef("unknown shell %q, want bash, zsh, fish or powershell", args[0])
		},
	}
}
