package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// The directories of testdata have structure only, without any sentence of a vendor:
//
//	slices   the operations that we describe, as they were published last, in <vendor>-<what>.yaml
//	history  the same as they were published before, by vendor and date
//	own      what no published description decides: see ownStructure
const testdata = "testdata"

var update = flag.Bool("update", false, "write testdata/own anew")

// spec is one of our descriptions and the structure of the vendor's.
type spec struct {
	name, file string
	published  string // "" if the vendor publishes no description
}

// specs returns every description of api/.
func specs(t *testing.T) []spec {
	t.Helper()
	files, err := filepath.Glob("../../api/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []spec
	for _, file := range files {
		s := spec{name: strings.TrimSuffix(filepath.Base(file), ".yaml"), file: file}
		found, err := filepath.Glob(filepath.Join(testdata, "slices", s.name+"-*.yaml"))
		require.NoError(t, err)
		if len(found) > 0 {
			require.Len(t, found, 1, "%s has one published description", s.name)
			s.published = found[0]
		}
		all = append(all, s)
	}
	return all
}

// theirs returns the structure of the vendor's description, or nil.
func (s spec) theirs(t *testing.T) *openapi.Document {
	t.Helper()
	if s.published == "" {
		return nil
	}
	return parse(t, s.published)
}

// publishedSpecs returns the descriptions of api/ whose vendors publish one.
func publishedSpecs(t *testing.T) []spec {
	t.Helper()
	var all []spec
	for _, s := range specs(t) {
		if s.published != "" {
			all = append(all, s)
		}
	}
	require.Len(t, all, 3)
	return all
}

func parse(t *testing.T, file string) *openapi.Document {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	doc, err := openapi.Parse(data)
	require.NoError(t, err, file)
	return doc
}

func TestSpecsMatchUpstream(t *testing.T) {
	for _, s := range publishedSpecs(t) {
		t.Run(s.name, func(t *testing.T) {
			ours, theirs := parse(t, s.file), parse(t, s.published)
			assertSame(t, ours, theirs)

			paths := map[string]bool{}
			for _, op := range ours.Operations() {
				paths[openapi.Template(op.Path)] = true
			}
			for _, op := range theirs.Operations() {
				assert.True(t, paths[openapi.Template(op.Path)], "upstream has %s, we have not", op)
			}
		})
	}
}

func assertSame(t *testing.T, ours, theirs *openapi.Document) {
	t.Helper()
	result := openapi.Compare(ours, theirs, openapi.Options{})
	for _, d := range result.Differences {
		assert.Fail(t, "ours differs from upstream", "%s %s\nours, at %s: %s\nupstream, at %s: %s",
			d.Operation, d.Place, d.Node.Pointer, d.Was, d.Theirs.Pointer, d.Is)
	}
	for _, d := range result.Unused {
		assert.Fail(t, "x-deviation excuses nothing", "%s at %s", d.Keyword, d.Pointer)
	}
}

// TestOwnStructure compares the parts that are in no published description with testdata/own, including examples.
func TestOwnStructure(t *testing.T) {
	for _, s := range specs(t) {
		t.Run(s.name, func(t *testing.T) {
			ours := parse(t, s.file)
			got := ownStructure(t, ours, compared(ours, s.theirs(t)))
			file := filepath.Join(testdata, "own", s.name+".json")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, strings.Split(string(want), "\n"), strings.Split(got, "\n"),
				"api/%s.yaml changed where no published description decides; if it is meant, run go test -run TestOwnStructure -update", s.name)
		})
	}
}

// ownStructure returns, as JSON, the parts of our description that are in no published one: operations that the vendor
// does not describe, and our values under each x-deviation. If result is nil, there is no published description.
func ownStructure(t *testing.T, ours *openapi.Document, result *openapi.Result) string {
	t.Helper()
	own := map[string]any{}
	var described []string
	if result == nil {
		own["security schemes"] = decoded(t, ours.At("/components/securitySchemes").JSON(""))
	} else {
		for _, met := range result.Operations {
			described = append(described, met[0].String())
		}
		for _, d := range result.Excused {
			if d.Kind == openapi.KindPathItem {
				continue
			}
			key := d.Node.Pointer + " " + d.Keyword
			values, _ := own[key].([]any)
			if d.Kind == openapi.KindOperation || len(values) == 0 { // several operations may refer to a component
				own[key] = append(values, decoded(t, d.Was))
			}
		}
	}
	for _, op := range ours.Operations() {
		if !slices.Contains(described, op.String()) {
			own[op.String()] = operationStructure(t, op)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(own))
	return b.String()
}

// compared compares our description with a published one, and returns nil if there is none.
func compared(ours, theirs *openapi.Document) *openapi.Result {
	if theirs == nil {
		return nil
	}
	result := openapi.Compare(ours, theirs, openapi.Options{})
	return &result
}

func operationStructure(t *testing.T, op openapi.Operation) map[string]any {
	t.Helper()
	parameters, servers := map[string]any{}, []any{}
	for _, p := range op.Parameters() {
		parameters[p.In+":"+p.Name] = decoded(t, p.Place.JSON(openapi.KindParameter))
	}
	for _, i := range op.Servers().Keys() {
		servers = append(servers, decoded(t, op.Servers().Child(i).JSON(openapi.KindServer)))
	}
	return map[string]any{
		"parameters": parameters, "servers": servers, "security": decoded(t, op.Security().JSON("")),
		"operation": decoded(t, op.Place().JSON(openapi.KindOperation)),
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	if text == "" {
		return nil
	}
	var v any
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}

func TestSpecsSayWhereTheyComeFrom(t *testing.T) {
	for _, s := range specs(t) {
		t.Run(s.name, func(t *testing.T) {
			ours := parse(t, s.file)
			for _, key := range []string{"source", "commit", "path", "date"} {
				assert.NotEmpty(t, ours.At("/x-upstream/"+key).Text(), "x-upstream needs %s", key)
			}
			for _, d := range ours.Deviations() {
				assert.NotEmpty(t, strings.TrimSpace(d.Reason), "x-deviation of %s at %s needs a reason", d.Keyword, d.Pointer)
			}
		})
	}
}

// TestEveryEnumValueHasItsName compares the lists next to an enum with its values: if a list is too short or has
// duplicates, the generator drops or renames a value.
func TestEveryEnumValueHasItsName(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range specs(t) {
		for node := range parse(t, s.file).Nodes() {
			names := values(node.Child("x-enum-varnames"))
			if len(names) == 0 {
				continue
			}
			found++
			assert.Len(t, names, len(values(node.Child("enum"))), node.Pointer)
			slices.Sort(names)
			assert.Len(t, slices.Compact(slices.Clone(names)), len(names), node.Pointer)
		}
	}
	assert.Positive(t, found)
}
