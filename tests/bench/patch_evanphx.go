package main

import (
	"encoding/json"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// evanphxPatcher is github.com/evanphx/json-patch. It cannot make a JSON Patch from two documents.
var evanphxPatcher = patcher{
	name: "evanphx",
	build: func(c change) ([]byte, error) {
		var p jsonpatch.Patch
		for _, replaced := range []struct {
			path  string
			value any
		}{{"/name", c.name}, {"/enabled", c.enabled}, {"/homepageUrl", nil}} {
			o := jsonpatch.Operation{}
			for name, value := range map[string]any{"op": "replace", "path": replaced.path, "value": replaced.value} {
				text, err := json.Marshal(value)
				if err != nil {
					return nil, err
				}
				o[name] = (*json.RawMessage)(&text)
			}
			p = append(p, o)
		}
		return json.Marshal(p)
	},
	apply: func(text []byte) (func([]byte) ([]byte, error), error) {
		p, err := jsonpatch.DecodePatch(text)
		return p.Apply, err
	},
}
