package main

import (
	"encoding/json"

	"gomodules.xyz/jsonpatch/v2"
)

// gomodulesPatcher is gomodules.xyz/jsonpatch. It cannot apply patches.
var gomodulesPatcher = patcher{
	name: "gomodules",
	build: func(c change) ([]byte, error) {
		return json.Marshal([]jsonpatch.Operation{
			jsonpatch.NewOperation("replace", "/name", c.name),
			jsonpatch.NewOperation("replace", "/enabled", c.enabled),
			jsonpatch.NewOperation("replace", "/homepageUrl", nil),
		})
	},
	diff: func(before, after []byte) (int, error) {
		p, err := jsonpatch.CreatePatch(before, after)
		return len(p), err
	},
}
