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
// All functions work on JSON text. Numbers may have any size and precision and are never converted to floats, null and
// absent are different, and a patch does not change the bytes of anything else. Errors have pointers, but no values.
//
// Time and memory are proportional to the size of the document plus that of the patch, not to their product. The limits
// [MaxOperations], [MaxDepth] and [MaxCopied] apply while a patch is read too.
//
// All functions and methods are safe for concurrent use.
package jsonpatch
