// Package jsonpatch builds, reads, applies, computes and inverts JSON Patch
// documents (RFC 6902) with JSON Pointers (RFC 6901).
//
// A [Patch] is built from operations and sent as it marshals:
//
//	patch := jsonpatch.Patch{
//		jsonpatch.Test("/name", "Demo API Client"),
//		jsonpatch.Replace("/homepageUrl", nil), // null, which is not absent
//		jsonpatch.Add(jsonpatch.Pointer("redirectUris", "-"), "https://example.com/callback"),
//	}
//	body, err := patch.MarshalJSON()
//
// [Patch.Apply] applies one to a document, strictly; [Diff] makes one from two
// documents, and [Invert] makes the one that takes it back.
//
// Everything works on JSON text. Numbers have any size and precision and are
// never turned into floats, null and absent stay different, and what a patch
// does not touch keeps its bytes. Error texts hold pointers and never values.
//
// Nothing here keeps state; every function is safe for concurrent use.
package jsonpatch
