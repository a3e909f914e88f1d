package jsonpatch_test

import (
	"errors"
	"fmt"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

func Example() {
	patch := jsonpatch.Patch{
		jsonpatch.Test("/name", "Demo API Client"),
		jsonpatch.Replace("/homepageUrl", nil), // null, which is not absent
		jsonpatch.Add("/redirectUris/-", "https://example.com/callback?a=1&b=2"),
	}
	body, err := patch.MarshalJSON()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(body))
	// Output:
	// [{"op":"test","path":"/name","value":"Demo API Client"},{"op":"replace","path":"/homepageUrl","value":null},{"op":"add","path":"/redirectUris/-","value":"https://example.com/callback?a=1&b=2"}]
}

func ExamplePatch_Apply() {
	doc := []byte(`{"name": "Demo", "enabled": true, "limit": 1.50}`)
	patch := jsonpatch.Patch{
		jsonpatch.Test("/limit", 1.5),
		jsonpatch.Replace("/enabled", false),
	}
	after, err := patch.Apply(doc)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(after))

	_, err = patch.Apply([]byte(`{"name": "Demo", "enabled": true, "limit": 2}`))
	fmt.Println(errors.Is(err, jsonpatch.ErrTestFailed), err)
	// Output:
	// {"name": "Demo", "enabled": false, "limit": 1.50}
	// true jsonpatch: operation 0: test "/limit": test failed: the value is another
}

func ExampleDiff() {
	before := []byte(`{"name":"Demo","scope":["a","b"]}`)
	after := []byte(`{"name":"Renamed","scope":["b"]}`)
	for _, opts := range []*jsonpatch.DiffOptions{nil, {Elements: true, Guard: true}} {
		patch, err := jsonpatch.Diff(before, after, opts)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := patch.MarshalJSON()
		fmt.Println(string(body))
	}
	// Output:
	// [{"op":"replace","path":"/name","value":"Renamed"},{"op":"replace","path":"/scope","value":["b"]}]
	// [{"op":"test","path":"/name","value":"Demo"},{"op":"replace","path":"/name","value":"Renamed"},{"op":"test","path":"/scope/0","value":"a"},{"op":"remove","path":"/scope/0"}]
}

func ExampleInvert() {
	before := []byte(`{"name":"Demo","enabled":true}`)
	patch := jsonpatch.Patch{jsonpatch.Remove("/enabled"), jsonpatch.Replace("/name", "Renamed")}
	inverse, err := jsonpatch.Invert(before, patch)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := inverse.MarshalJSON()
	fmt.Println(string(body))
	// Output: [{"op":"replace","path":"/name","value":"Demo"},{"op":"add","path":"/enabled","value":true}]
}

func ExamplePointer() {
	fmt.Println(jsonpatch.Pointer("paths", "/oauth-clients/{id}", "tags", "0"))
	// Output: /paths/~1oauth-clients~1{id}/tags/0
}
