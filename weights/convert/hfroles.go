package convert

import (
	"encoding/json"
	"errors"
	"fmt"
)

// hfProcessor is what is put around a text, or several such steps in a sequence.
type hfProcessor struct {
	Type       string        `json:"type"`
	Processors []hfProcessor `json:"processors"`
	Single     []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		}
	} `json:"single"`
}

// around returns the tokens that are put before and after a text.
func (p hfProcessor) around() (before, after []string, err error) {
	switch p.Type {
	case "", "ByteLevel":
	case "Sequence":
		for _, step := range p.Processors {
			b, a, err := step.around()
			if err != nil {
				return nil, nil, err
			}
			before, after = append(b, before...), append(after, a...)
		}
	case "TemplateProcessing":
		passed := false
		for _, item := range p.Single {
			switch {
			case item.SpecialToken == nil:
				passed = true
			case passed:
				after = append(after, item.SpecialToken.ID)
			default:
				before = append(before, item.SpecialToken.ID)
			}
		}
	default:
		return nil, nil, fmt.Errorf("post_processor %q is not supported", p.Type)
	}
	return before, after, nil
}

// roleKeys writes which tokens begin and end a text, from tokenizer_config.json, if it is there, tokenizer.json and
// config.json, in this order.
func (m *input) roleKeys(t *hfTokenizer, v *vocabulary, text []byte, h *hfConfig) error {
	roles := &config{read: map[string]bool{}}
	if text != nil {
		var err error
		if roles, err = parseConfig(text); err != nil {
			return fmt.Errorf("%s: %w", hfTokenizerConfigFile, err)
		}
	}
	var p hfProcessor
	if len(t.PostProcessor) > 0 {
		if err := json.Unmarshal(t.PostProcessor, &p); err != nil {
			return fmt.Errorf("post_processor: %w", err)
		}
	}
	before, after, err := p.around()
	if err != nil {
		return err
	}
	for _, role := range []struct {
		name, key string
		around    []string
		ids       []int32
	}{{"bos", "bos", before, h.bos}, {"eos", "eos", after, h.eos}, {"unk", "unknown", nil, nil}, {"pad", "padding", nil, nil}} {
		id, err := roles.token(role.name+"_token", v)
		if err != nil {
			return err
		}
		if id < 0 && len(role.ids) > 0 {
			id = role.ids[0]
		}
		if id >= 0 {
			m.set("tokenizer.ggml."+role.key+"_token_id", uint32(id))
		}
		if role.name != "bos" && role.name != "eos" {
			continue
		}
		if role.name == "eos" && id < 0 { // which readers would take to be some token or other
			return errors.New("there is no eos_token, nor eos_token_id")
		}
		add := len(role.around) > 0
		if flag := "add_" + role.name + "_token"; roles.has(flag) {
			add = roles.flag(flag, false)
		} else if add && (len(role.around) > 1 || id < 0 || int(id) >= len(v.tokens) || v.tokens[id] != role.around[0]) {
			return fmt.Errorf("post_processor puts %q around a text, not the %s token", role.around, role.name)
		}
		if add && id < 0 {
			return fmt.Errorf("a %s token is put around a text, but there is none", role.name)
		}
		m.set("tokenizer.ggml.add_"+role.name+"_token", add)
	}
	if template := roles.members["chat_template"]; len(template) > 0 && template[0] == '"' {
		m.set("tokenizer.chat_template", roles.text("chat_template", ""))
	}
	return roles.err
}

// token reads a token that is given by its spelling, alone or in an object; -1 if there is none.
func (c *config) token(name string, v *vocabulary) (int32, error) {
	var spelling string
	if text := c.members[name]; len(text) > 0 && text[0] == '{' {
		var object struct{ Content string }
		c.get(name, &object, "a token")
		spelling = object.Content
	} else {
		spelling = c.text(name, "")
	}
	if spelling == "" {
		return -1, c.err
	}
	id, ok := v.ids[spelling]
	if !ok {
		return -1, fmt.Errorf("%s: %s %q is no token", hfTokenizerConfigFile, name, spelling)
	}
	return id, nil
}
