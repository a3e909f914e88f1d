package patch_test

import (
	"fmt"
	"log"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/oauthclients/patch"
)

func Example() {
	body, err := jsonpatch.Patch{
		patch.Name.Test("Demo API Client"),
		patch.Enabled.Set(false),
		patch.HomepageURL.Clear(),
		patch.RedirectURIs.Append("https://example.com/callback"),
	}.MarshalJSON()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(body))
	// Output: [{"op":"test","path":"/name","value":"Demo API Client"},{"op":"replace","path":"/enabled","value":false},{"op":"replace","path":"/homepageUrl","value":null},{"op":"add","path":"/redirectUris/-","value":"https://example.com/callback"}]
}

func ExampleOverlay() {
	before := sailpoint.OAuthClient{ID: "2c91", Name: "Demo", Description: new("old"), Enabled: true}
	after, err := patch.Overlay(before, []byte(`{"name": "Demo API Client", "description": null}`))
	if err != nil {
		log.Fatal(err)
	}
	ops, err := patch.Diff(before, after, &patch.DiffOptions{Guard: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, op := range ops {
		fmt.Printf("%v = %s\n", op, op.Value())
	}
	_, err = patch.Overlay(before, []byte(`{"nam": "Demo API Client"}`))
	fmt.Println(err)
	// Output:
	// test "/name" = "Demo"
	// replace "/name" = "Demo API Client"
	// test "/description" = "old"
	// replace "/description" = null
	// patch: overlay: a client has no member "nam"
}

func ExampleDiff() {
	before := sailpoint.OAuthClient{ID: "2c91", Name: "Demo", Description: new("old"), Scope: []string{"a"}}
	after := before
	after.Name, after.Description = "Demo API Client", nil
	after.Scope = nil
	ops, err := patch.Diff(before, after, nil)
	for _, op := range ops {
		fmt.Printf("%v = %s\n", op, op.Value())
	}
	fmt.Println(err)
	// Output:
	// replace "/name" = "Demo API Client"
	// replace "/description" = null
	// patch: these fields differ and cannot be patched: scope
}
