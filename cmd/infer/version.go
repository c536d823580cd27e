package main

import (
	"runtime"
	"runtime/debug"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/spf13/cobra"
)

// versionResult is what version --json prints.
type versionResult struct {
	Version string   `json:"version"`
	Go      string   `json:"go"`
	System  string   `json:"system"`
	Kernels []string `json:"kernels"` // that this machine can run, slowest first
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the program's version",
		Example: "  infer version --json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			r := versionResult{Version: version(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
			for _, impl := range kernels.Implementations() {
				r.Kernels = append(r.Kernels, impl.Name)
			}
			if a.json {
				return a.printJSON(r)
			}
			a.printf("infer %s (%s, %s, kernels: %v)\n", r.Version, r.Go, r.System, r.Kernels)
			return nil
		},
	}
}

// version is that of the module, or the commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "devel"
}
