package train

import (
	"errors"

	"github.com/mneme-lm/mneme/weights"
)

// WriteAdapter writes the memory that a model has on its backbone as a GGUF file, which appears under its name when it is complete.
// The engine takes it beside the backbone's file, and no other. Of e, Source has no part in it.
func (m *Model) WriteAdapter(path string, e Export) error {
	if err := e.check(); err != nil {
		return err
	}
	s, md := m.Shape, new(weights.Metadata)
	if s.Backbone == nil || s.Tuned {
		return errors.New("train: the model is no memory on a backbone that stayed as it was")
	}
	set := func(key string, value any) error { return md.Set(key, value) }
	err := errors.Join(
		set("general.architecture", s.Backbone.Architecture()),
		set("general.type", "adapter"),
		set("general.name", e.Name),
		set("adapter.type", "memory"),
		set("adapter.backbone.fingerprint", s.Backbone.Fingerprint),
		set("mneme.context_length", uint32(e.Context)),
		s.describeFifo(set), s.describeNeural(set),
	)
	if w := s.Sight.Window; w > 0 {
		err = errors.Join(err, set("mneme.attention.sliding_window", uint32(w)))
	}
	if err != nil {
		return err
	}
	return m.write(path, md, e.Type)
}
