package main

import "encoding/json"

// union is the code that the generator makes from the vendor's own description.
const union = "union"

// unionOperation and unionValue are the code of oapi-codegen for an operation whose value is oneOf string, boolean,
// integer, object and array, as in the vendor's description; only the parts that build it.
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

// FromValue0 sets a string.
func (t *unionValue) FromValue0(v string) error {
	b, err := json.Marshal(v)
	t.union = b
	return err
}

// FromValue1 sets a boolean.
func (t *unionValue) FromValue1(v bool) error {
	b, err := json.Marshal(v)
	t.union = b
	return err
}

// UnmarshalJSON is the only way to set null.
func (t *unionValue) UnmarshalJSON(b []byte) error {
	err := t.union.UnmarshalJSON(b)
	return err
}

// MarshalJSON is generated too.
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
