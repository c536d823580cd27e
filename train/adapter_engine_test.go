package train

import (
	"path/filepath"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/weights/quant"
)

// What the graph computes of a backbone with an adapter, the engine computes of the two files, with the memory and with zeros for it.
// Before the first step it is to the bit what the engine computes of the backbone.
func TestAdaptersAreTheEngines(t *testing.T) {
	all := computes(t)
	c := all[len(all)-1]
	for _, name := range []string{"qwen2-tiny", "qwen3-tiny", "gemma2-tiny", "phi3-tiny", "mneme-tiny"} {
		base := synthetic(t, name)
		b := backboneOf(t, base)
		tokens := someTokens(50, b.config.Vocabulary)
		for _, a := range append(adapters(0, 1), Adapter{Memory: "neural"}) {
			m := adapted(t, b, a)
			stir(m)
			write := func() *mneme.Model {
				path := filepath.Join(t.TempDir(), "adapter.gguf")
				if err := m.WriteAdapter(path, Export{Name: "test", Type: quant.F32, Context: 50}); err != nil {
					t.Fatal(err)
				}
				return engineOf(t, base, mneme.WithAdapter(path))
			}
			fresh := write()
			same(t, name+", "+a.Memory+" at first", evaluated(t, fresh, tokens), evaluated(t, fresh, tokens, mneme.WithMemory("none")), 0)
			if a.Window == 0 {
				same(t, name+" with "+a.Memory+" at first", evaluated(t, fresh, tokens), evaluated(t, engineOf(t, base), tokens), 0)
			}
			awake(m)
			engine := write()
			same(t, name+", "+a.Memory, logitsOf(t, c, m, tokens), evaluated(t, engine, tokens), 1e-3)
			without, _ := m.Shape.forgetful()
			same(t, name+", "+a.Memory+", zeroed", logitsOf(t, c, m.as(without), tokens), evaluated(t, engine, tokens, mneme.WithMemory("none")), 1e-3)
		}
	}
}
