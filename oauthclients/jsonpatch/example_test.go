package jsonpatch_test

import (
	"errors"
	"fmt"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

func Example() {
	patch := jsonpatch.Patch{
		jsonpatch.Test("/name", "Demo API Client"),
		jsonpatch.Replace("/homepageUrl", nil), // null is different from absent
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
	after := []byte(`{"name":"Renamed","scope":["b"],"enabled":true}`)
	patch, err := jsonpatch.Diff(before, after)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, op := range patch {
		fmt.Printf("%v = %s\n", op, op.Value())
	}
	// Output:
	// add "/enabled" = true
	// replace "/name" = "Renamed"
	// replace "/scope" = ["b"]
}

func ExamplePointer() {
	fmt.Println(jsonpatch.Pointer("paths", "/oauth-clients/{id}", "tags", "0"))
	// Output: /paths/~1oauth-clients~1{id}/tags/0
}
