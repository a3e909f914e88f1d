package main

import "encoding/json"

// union is the contender that the generator makes of the vendor's own description.
const union = "union"

// unionOperation and unionValue are what oapi-codegen makes of an operation whose value is oneOf string, boolean,
// integer, object and array, as the vendor has it: the parts that build.
type (
	unionOperation struct {
		Op    string      `json:"op"`
		Path  string      `json:"path"`
		Value *unionValue `json:"value,omitempty"`
	}
	unionValue struct {
		union json.RawMessage
	}
)

// FromValue0 takes a string.
func (t *unionValue) FromValue0(v string) error {
	b, err := json.Marshal(v)
	t.union = b
	return err
}

// FromValue1 takes a boolean.
func (t *unionValue) FromValue1(v bool) error {
	b, err := json.Marshal(v)
	t.union = b
	return err
}

// UnmarshalJSON is the only way to a null.
func (t *unionValue) UnmarshalJSON(b []byte) error {
	err := t.union.UnmarshalJSON(b)
	return err
}

// MarshalJSON is the generator's too.
func (t unionValue) MarshalJSON() ([]byte, error) {
	b, err := t.union.MarshalJSON()
	return b, err
}

var unionPatcher = patcher{
	name: union,
	build: func(c change) ([]byte, error) {
		var name, enabled, homepage unionValue
		if err := name.FromValue0(c.name); err != nil {
			return nil, err
		}
		if err := enabled.FromValue1(c.enabled); err != nil {
			return nil, err
		}
		if err := homepage.UnmarshalJSON([]byte("null")); err != nil {
			return nil, err
		}
		return json.Marshal([]unionOperation{
			{"replace", "/name", &name},
			{"replace", "/enabled", &enabled},
			{"replace", "/homepageUrl", &homepage},
		})
	},
}
