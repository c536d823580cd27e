package mneme

import (
	"fmt"

	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/weights"
)

// WithAdapter adds the memories of an adapter's file to the model: memories that were trained beside it, with its own weights as they
// are, and which it then reads and writes like one that was trained with a memory (see WithMemory). An adapter knows the model that
// it was made for by its fingerprint, and Open refuses it for others. It may narrow what attention sees to a window, also where the
// memory is left out. The file must stay as it is until Close. Empty means none.
func WithAdapter(path string) ModelOption { return func(o *modelOptions) { o.adapter = path } }

// ErrAdapter is wrapped when a file is to be used as an adapter and is none, or as a model and is an adapter; ErrBackbone when an
// adapter was trained for another model than it is opened with.
var (
	ErrAdapter  = model.ErrAdapter
	ErrBackbone = model.ErrBackbone
)

// adapted is the model of a file with the memories of an adapter.
func adapted(net *model.Model, file, adapter *weights.File) (*model.Model, error) {
	a, err := model.ReadAdapter(adapter)
	if err != nil {
		return nil, err
	}
	print, err := fingerprint(file)
	if err != nil {
		return nil, err
	}
	return net.WithAdapter(a, print)
}

// name is the model's, for people.
func (m *Model) name() string {
	if m.adapter == nil {
		return m.net.Name
	}
	return fmt.Sprintf("%s with adapter %s", m.net.Name, m.net.Adapter)
}
