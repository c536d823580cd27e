package attention

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/internal/params"
	"github.com/mneme-lm/mneme/kvcache"
)

// Method is how the queries of a text attend to its cache: which rows they see, and which of these they open. One of its
// parts is set, none where they see and open all of them.
type Method struct {
	name string

	Chunked   *Chunked
	Retrieval *Retrieval
	Landmarks *Landmarks
}

// Kind is one method as users know it.
type Kind struct {
	Name  string
	Title string // what it does, in a few words
	Paper string // where it comes from
	// Budget says that it opens a number of rows that is to be given.
	Budget bool

	parse func(m *Method, p *params.Params, budget int)
}

// AllRows is the name of the method that opens every row.
const AllRows = "full"

var kinds = []Kind{
	{Name: AllRows, Title: "every query sees the whole text before it", Paper: "Vaswani et al. 2017, arXiv 1706.03762",
		parse: func(*Method, *params.Params, int) {}},
	chunkedKind, landmarkKind, retrievalKind,
}

// Kinds lists the methods.
func Kinds() []Kind { return slices.Clone(kinds) }

// Names lists the names of the methods.
func Names() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}

const methodOwner = "attention:"

// KindOf is the method that a text with parameters names.
func KindOf(text string) (Kind, error) {
	name, _, _ := strings.Cut(text, ":")
	for _, k := range kinds {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("attention: no method %q (there is: %s)", name, strings.Join(Names(), ", "))
}

// Parameters lists the names of a method's parameters.
func Parameters(name string) ([]string, error) {
	kind, err := KindOf(name)
	if err != nil {
		return nil, err
	}
	p := params.None(methodOwner, name)
	kind.parse(new(Method), p, 1<<20)
	return p.Known(), nil
}

// NewMethod makes a method of its name and parameters, name:key=value,key=value. budget is the number of rows that are
// opened at a time, 0 where none is given.
func NewMethod(text string, budget int) (*Method, error) {
	kind, err := KindOf(text)
	if err != nil {
		return nil, err
	}
	_, p, err := params.Parse(methodOwner, text)
	if err != nil {
		return nil, err
	}
	if !kind.Budget && budget > 0 {
		return nil, fmt.Errorf("attention: %s opens every row that it sees: a budget is for %s", kind.Name, strings.Join(budgeted(), " and "))
	}
	m := &Method{name: text}
	if kind.parse(m, p, budget); p.Done() != nil {
		return nil, p.Done()
	}
	return m, m.check()
}

func budgeted() (names []string) {
	for _, k := range kinds {
		if k.Budget {
			names = append(names, k.Name)
		}
	}
	return names
}

func (m *Method) check() error {
	if m.Retrieval != nil {
		return m.Retrieval.check()
	}
	return nil
}

// Name is the method's name, with the parameters that were given.
func (m *Method) Name() string { return m.name }

// Index says how older rows are summarized for it.
func (m *Method) Index() kvcache.Index {
	switch {
	case m.Retrieval != nil:
		return m.Retrieval.Index
	case m.Landmarks != nil:
		return m.Landmarks.index()
	}
	return kvcache.Index{}
}

// errBudget is what is wrong where a method needs a budget.
var errBudget = errors.New("attention: no budget of rows to open is given")
