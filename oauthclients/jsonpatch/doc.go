// Package jsonpatch builds, reads, applies and computes JSON Patch documents (RFC 6902) with JSON Pointers (RFC 6901).
//
// A [Patch] is a slice of operations, which marshals as the RFC says:
//
//	patch := jsonpatch.Patch{
//		jsonpatch.Test("/name", "Demo API Client"),
//		jsonpatch.Replace("/homepageUrl", nil), // null, which is not the same as absent
//		jsonpatch.Add(jsonpatch.Pointer("redirectUris", "-"), "https://example.com/callback"),
//	}
//	body, err := patch.MarshalJSON()
//
// [Patch.Apply] applies a patch to a document, strictly, and [Diff] returns the patch that turns one document into
// another.
//
// Everything works on JSON text. Numbers have any size and precision and are never converted to floats, null and absent
// stay different, and what a patch does not touch keeps its bytes. Errors hold pointers, never values.
//
// Time and memory grow with the size of the document and of the patch, not with their product, whatever they hold, and
// the limits [MaxOperations], [MaxDepth] and [MaxCopied] hold while a patch is read too.
//
// All functions and methods are safe for concurrent use.
package jsonpatch
