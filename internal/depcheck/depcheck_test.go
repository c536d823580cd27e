package depcheck

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
)

// TestImports holds every file against the rules, whatever platform it is for.
func TestImports(t *testing.T) {
	root := testdata.Root(t)
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == "testdata" && filepath.Dir(path) != filepath.Join(root, "internal") || strings.ContainsAny(name[:1], "._")) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			files++
			checkFile(t, root, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("only %d Go files below %s", files, root)
	}
}

func checkFile(t *testing.T, root, path string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	relative, err := filepath.Rel(root, path)
	if err != nil {
		t.Error(err)
		return
	}
	relative = filepath.ToSlash(relative)
	folder := "."
	if i := strings.LastIndex(relative, "/"); i >= 0 {
		folder = relative[:i]
	}
	if _, ok := roomOf(folder); !ok {
		t.Errorf("%s: folder %s belongs to no room: give it a rule", relative, folder)
		return
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Errorf("%s: %v", relative, err)
			continue
		}
		if err := check(folder, imported, strings.HasSuffix(path, "_test.go")); err != nil {
			t.Errorf("%s: %v", relative, err)
		}
	}
}

func TestRulesPointDown(t *testing.T) {
	const open, done = 1, 2
	state := map[string]int{}
	var visit func(room string)
	visit = func(room string) {
		state[room] = open
		for _, below := range rules[room].rooms {
			if below == "*" {
				continue
			}
			if _, ok := rules[below]; !ok {
				t.Errorf("%s may import %s, which is no room", room, below)
			}
			if state[below] == open {
				t.Errorf("%s may import %s, which may import it in turn", room, below)
			}
			if state[below] == 0 {
				visit(below)
			}
		}
		state[room] = done
	}
	for room := range rules {
		if state[room] == 0 {
			visit(room)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		test, ok         bool
	}{
		{"kernels", "math", false, true},
		{"kernels", module + "/weights/quant", false, true},
		{"kernels", module + "/weights", false, false},
		{"kernels", module + "/asm", false, true},
		{"asm", module + "/kernels", false, false},
		{"kernels", module + "/model", true, false},
		{"model", module, false, false},
		{"model", module + "/tokenizer", false, false},
		{"model", module + "/weights/synth", false, false},
		{"model", module + "/weights/synth", true, true},
		{"model", rapid, false, false},
		{"model", rapid, true, true},
		{"model", "testing", false, false},
		{"model", module + "/internal/testdata", false, false},
		{"model", "gorgonia.org/gorgonia", false, false},
		{"model", "gorgonia.org/gorgonia", true, true},
		{"weights/quant", module + "/weights", false, false},
		{"weights/synth", module + "/weights/internal/rowstream", false, true},
		{"weights", "golang.org/x/sys/unix", false, false},
		{"internal/mapped", "golang.org/x/sys/unix", false, true},
		{"internal/mapped", "golang.org/x/system", false, false},
		{"tokenizer", module + "/weights", false, false},
		{"tokenizer", module + "/weights", true, true},
		{"tokenizer", "golang.org/x/text/unicode/norm", false, false},
		{".", module + "/internal/sysmem", false, true},
		{".", module + "/bench", false, false},
		{".", "C", false, false},
		{"bench", module, false, true},
		{"bench", module + "/cmd/infer", false, false},
		{"cmd/infer", module + "/bench", false, true},
		{"cmd/infer", cobra, false, true},
		{"cmd/infer", rapid, false, false},
		{"internal/testdata", "testing", false, true},
		{"unheard/of", "math", false, false},
		{"model", module + "/unheard/of", false, false},
	} {
		if err := check(c.folder, c.imported, c.test); (err == nil) != c.ok {
			t.Errorf("%s imports %s (test: %v): %v", c.folder, c.imported, c.test, err)
		}
	}
}

// platforms are those that the engine is built for.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

// TestModulesOfAProgram lists what a program that imports package mneme is made of, on every platform: nothing that
// brings an API of its own along, and no Gorgonia.
func TestModulesOfAProgram(t *testing.T) {
	small := []string{module, cpuid, sys}
	for _, platform := range platforms {
		modules := modulesOf(t, platform, ".")
		if !slices.Contains(modules, module) {
			t.Errorf("%s: %v does not name this module", platform, modules)
		}
		for _, m := range modules {
			if !slices.Contains(small, m) {
				t.Errorf("%s: package mneme depends on module %s", platform, m)
			}
		}
	}
}

// TestModulesOfTests holds the modules that serve tests out of everything that is built.
func TestModulesOfTests(t *testing.T) {
	for _, m := range modulesOf(t, "linux/amd64", "./...") {
		if m == rapid || m == arch {
			t.Errorf("%s is part of a package, not only of its tests", m)
		}
	}
}

// modulesOf returns the modules of all packages that a pattern's packages depend on, tests apart.
func modulesOf(t *testing.T, platform, pattern string) []string {
	t.Helper()
	system, machine, _ := strings.Cut(platform, "/")
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", pattern)
	list.Dir = testdata.Root(t)
	list.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+machine, "CGO_ENABLED=0")
	var complaint strings.Builder
	list.Stderr = &complaint
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", platform, err, complaint.String())
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	return slices.Compact(modules)
}
