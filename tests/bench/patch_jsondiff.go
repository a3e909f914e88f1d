package main

import (
	"encoding/json"

	"github.com/wI2L/jsondiff"

	"github.com/grantwright/oauth-go/gen/sailpoint"
)

// jsondiffPatcher is github.com/wI2L/jsondiff. It cannot apply patches.
var jsondiffPatcher = patcher{
	name: "jsondiff",
	build: func(c change) ([]byte, error) {
		return json.Marshal(jsondiff.Patch{
			{Type: jsondiff.OperationReplace, Path: "/name", Value: c.name},
			{Type: jsondiff.OperationReplace, Path: "/enabled", Value: c.enabled},
			{Type: jsondiff.OperationReplace, Path: "/homepageUrl"},
		})
	},
	typed: func(before, after sailpoint.OAuthClient) (int, error) {
		p, err := jsondiff.Compare(before, after)
		return len(p), err
	},
	diff: func(before, after []byte) (int, error) {
		p, err := jsondiff.CompareJSON(before, after)
		return len(p), err
	},
}
