package jsonpatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

const rounds = 1_000

func TestDiffThenApply(t *testing.T) {
	g := newGenerator(1)
	for range rounds {
		before := g.value(4)
		after := g.value(4)
		if g.IntN(3) > 0 {
			after = g.edited(before)
		}
		a, b := g.text(before), g.text(after)
		p, err := jsonpatch.Diff([]byte(a), []byte(b))
		require.NoError(t, err)
		got, err := p.Apply([]byte(a))
		require.NoError(t, err, "%s → %s by %s", a, b, p)
		assertSame(t, b, string(got))
		assert.Equal(t, same(decode(a), decode(b)), len(p) == 0, "%s → %s", a, b)

		// The order of members does not matter, and the result is deterministic.
		again, err := jsonpatch.Diff([]byte(g.text(decode(a))), []byte(b))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint(p), fmt.Sprint(again))
	}
}

func TestApplyAgainstModel(t *testing.T) {
	g := newGenerator(2)
	failures := 0
	for range rounds {
		doc := g.value(4)
		text := g.text(doc)
		patch := g.patch(doc)
		got, err := applyText(text, patch)
		want, wantErr := model(decode(text), patch)
		require.Equal(t, wantErr == nil, err == nil, "%s by %s: %v, model %v", text, patch, err, wantErr)
		if err != nil {
			failures++
			continue
		}
		require.True(t, same(decode(got), want), "%s by %s: %s", text, patch, got)
	}
	assert.Greater(t, failures, rounds/10, "some patches must fail")
	assert.Less(t, failures, rounds*9/10, "some patches must succeed")
}

// TestManyOperations applies long patches to long arrays and objects, and so uses every part in every state.
func TestManyOperations(t *testing.T) {
	g := newGenerator(4)
	for range 15 {
		n := g.IntN(200)
		list, members := make([]any, n), map[string]any{}
		for i := range list {
			list[i] = g.value(1)
			members[strconv.Itoa(i)] = g.value(1)
		}
		doc := any(map[string]any{"l": list, "m": members})
		text := g.text(doc)
		var p jsonpatch.Patch
		for range 300 {
			d := doc.(map[string]any)
			list, members := d["l"].([]any), d["m"].(map[string]any)
			name := strconv.Itoa(g.IntN(n + 20))
			place := "/l/" + strconv.Itoa(g.IntN(len(list)+1))
			var op string
			switch g.IntN(8) {
			case 0:
				op = `{"op":"add","path":"/m/` + name + `","value":` + g.text(g.value(1)) + `}`
			case 1:
				if _, ok := members[name]; !ok {
					continue
				}
				op = pick(g, `{"op":"remove","path":"/m/`+name+`"}`, `{"op":"move","from":"/m/`+name+`","path":"`+place+`"}`)
			case 2, 3, 4:
				op = `{"op":"add","path":"` + place + `","value":` + g.text(g.value(1)) + `}`
			default:
				if len(list) == 0 {
					continue
				}
				place = "/l/" + strconv.Itoa(g.IntN(len(list)))
				op = pick(g, `{"op":"remove","path":"`+place+`"}`, `{"op":"move","from":"`+place+`","path":"/l/0"}`,
					`{"op":"copy","from":"`+place+`","path":"/l/-"}`, `{"op":"copy","from":"`+place+`","path":"/m/`+name+`"}`)
			}
			p = append(p, read(t, "["+op+"]")...)
			var err error
			doc, err = model(doc, "["+op+"]")
			require.NoError(t, err)
		}
		want, err := json.Marshal(doc)
		require.NoError(t, err)
		got, err := append(p, jsonpatch.Test("", json.RawMessage(want))).Apply([]byte(text))
		require.NoError(t, err)
		assertSame(t, string(want), string(got))
		rest, err := jsonpatch.Diff(got, want)
		require.NoError(t, err)
		require.Empty(t, rest)
	}
}

// The model works on values as encoding/json decodes them.

func decode(text string) any {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func assertSame(t *testing.T, want, got string) {
	t.Helper()
	require.True(t, json.Valid([]byte(got)), "%s", got)
	require.True(t, same(decode(want), decode(got)), "%s is not %s", got, want)
}

func same(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		x, _ := new(big.Rat).SetString(a.String())
		y, _ := new(big.Rat).SetString(b.String())
		return ok && x.Cmp(y) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, same)
	default:
		switch b.(type) {
		case json.Number, []any, map[string]any:
			return false
		}
		return a == b
	}
}

// model applies a patch in the simplest way, step by step on decoded values.
func model(doc any, patch string) (any, error) {
	var ops []struct {
		Op, Path, From string
		Value          json.RawMessage
	}
	if err := json.Unmarshal([]byte(patch), &ops); err != nil {
		return nil, err
	}
	for _, op := range ops {
		path, from := split(op.Path), split(op.From)
		var v any
		var err error
		switch op.Op {
		case "add":
			doc, err = modelAdd(doc, path, decode(string(op.Value)))
		case "remove":
			doc, err = modelRemove(doc, path)
		case "replace":
			if _, err = modelGet(doc, path); err == nil {
				if len(path) > 0 {
					doc, err = modelRemove(doc, path)
				}
				if err == nil {
					doc, err = modelAdd(doc, path, decode(string(op.Value)))
				}
			}
		case "move":
			if v, err = modelGet(doc, from); err != nil || op.From == op.Path {
				break
			}
			if strings.HasPrefix(op.Path, op.From+"/") {
				return nil, fmt.Errorf("into itself")
			}
			if doc, err = modelRemove(doc, from); err == nil {
				doc, err = modelAdd(doc, path, v)
			}
		case "copy":
			if v, err = modelGet(doc, from); err == nil {
				text, _ := json.Marshal(v)
				doc, err = modelAdd(doc, path, decode(string(text)))
			}
		case "test":
			if v, err = modelGet(doc, path); err == nil && !same(v, decode(string(op.Value))) {
				err = fmt.Errorf("another value")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return doc, nil
}

func split(pointer string) []string {
	if pointer == "" {
		return nil
	}
	names := strings.Split(pointer[1:], "/")
	for i := range names {
		names[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(names[i])
	}
	return names
}

func modelGet(doc any, path []string) (any, error) {
	if len(path) == 0 {
		return doc, nil
	}
	switch d := doc.(type) {
	case map[string]any:
		if v, ok := d[path[0]]; ok {
			return modelGet(v, path[1:])
		}
	case []any:
		if i, ok := modelIndex(path[0], len(d)-1); ok {
			return modelGet(d[i], path[1:])
		}
	}
	return nil, fmt.Errorf("nothing there")
}

func modelIndex(name string, last int) (int, bool) {
	i, err := strconv.Atoi(name)
	return i, err == nil && strconv.Itoa(i) == name && 0 <= i && i <= last
}

// modelEdit returns doc after an edit of the container of path's last name.
func modelEdit(doc any, path []string, edit func(container any, name string) (any, error)) (any, error) {
	if len(path) == 1 {
		return edit(doc, path[0])
	}
	child, err := modelGet(doc, path[:1])
	if err != nil {
		return nil, err
	}
	if child, err = modelEdit(child, path[1:], edit); err != nil {
		return nil, err
	}
	switch d := doc.(type) {
	case map[string]any:
		d[path[0]] = child
	case []any:
		i, _ := strconv.Atoi(path[0])
		d[i] = child
	}
	return doc, nil
}

func modelAdd(doc any, path []string, v any) (any, error) {
	if len(path) == 0 {
		return v, nil
	}
	return modelEdit(doc, path, func(c any, name string) (any, error) {
		switch c := c.(type) {
		case map[string]any:
			c[name] = v
			return c, nil
		case []any:
			if name == "-" {
				return append(c, v), nil
			}
			if i, ok := modelIndex(name, len(c)); ok {
				return slices.Insert(c, i, v), nil
			}
		}
		return nil, fmt.Errorf("no place")
	})
}

func modelRemove(doc any, path []string) (any, error) {
	if len(path) == 0 {
		return nil, fmt.Errorf("the whole document")
	}
	return modelEdit(doc, path, func(c any, name string) (any, error) {
		switch c := c.(type) {
		case map[string]any:
			if _, ok := c[name]; ok {
				delete(c, name)
				return c, nil
			}
		case []any:
			if i, ok := modelIndex(name, len(c)-1); ok {
				return slices.Delete(c, i, i+1), nil
			}
		}
		return nil, fmt.Errorf("nothing there")
	})
}

// generator makes documents from few names and values, so that these coincide often.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0))} }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) name() string {
	return pick(g, "a", "b", "c", "", "~", "/", "~1", "-", "0", "é", "<")
}

func (g generator) value(depth int) any {
	kind := g.IntN(8)
	switch {
	case depth > 0 && kind < 3:
		object := map[string]any{}
		for range g.IntN(5) {
			object[g.name()] = g.value(depth - 1)
		}
		if g.IntN(50) == 0 { // enough for an index
			for i := range 40 {
				object[strconv.Itoa(i)] = json.Number("0")
			}
		}
		return object
	case depth > 0 && kind < 6:
		array := make([]any, g.IntN(6))
		if g.IntN(20) == 0 { // more than one chunk
			array = make([]any, 30+g.IntN(70))
		}
		for i := range array {
			array[i] = g.value(min(depth-1, 1))
		}
		return array
	}
	return pick[any](g, nil, true, false, "", "a", "é", "<\"\\\n>", "1",
		json.Number("0"), json.Number("-0.0"), json.Number("1"), json.Number("1.0"), json.Number("10e-1"),
		json.Number("9007199254740992"), json.Number("9007199254740993"), json.Number("-1E+3"), json.Number("-1000"))
}

// edited returns a copy of v with some changes.
func (g generator) edited(v any) any {
	if g.IntN(12) == 0 {
		return g.value(2)
	}
	switch v := v.(type) {
	case map[string]any:
		object := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if g.IntN(10) > 0 {
				object[name] = g.edited(v[name])
			}
		}
		if g.IntN(4) == 0 {
			object[g.name()] = g.value(1)
		}
		return object
	case []any:
		var array []any
		for _, e := range v {
			switch g.IntN(8) {
			case 0:
			case 1:
				array = append(array, g.value(1), e)
			default:
				array = append(array, g.edited(e))
			}
		}
		return array
	}
	return v
}

// text returns v as JSON with random order, white space and spelling of strings.
func (g generator) text(v any) string {
	var b bytes.Buffer
	g.write(&b, v)
	return b.String()
}

func (g generator) write(b *bytes.Buffer, v any) {
	space := func() { b.WriteString(pick(g, "", "", "", " ", "\n\t")) }
	space()
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		names := slices.Sorted(maps.Keys(v))
		g.Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			g.write(b, name)
			b.WriteByte(':')
			g.write(b, v[name])
		}
		space()
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			g.write(b, e)
		}
		space()
		b.WriteByte(']')
	case string:
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(g.IntN(2) == 0)
		_ = enc.Encode(v)
		b.Truncate(b.Len() - 1)
	default:
		text, _ := json.Marshal(v)
		b.Write(text)
	}
	space()
}

// patch makes a patch for a document like doc; most of its operations can be applied.
func (g generator) patch(doc any) string {
	var ops []string
	for range 1 + g.IntN(4) {
		op := map[string]any{"op": pick(g, "add", "remove", "replace", "move", "copy", "test")}
		op["path"], op["from"] = g.pointer(doc), g.pointer(doc)
		switch op["op"] {
		case "remove":
			if op["path"] == "" {
				op["path"] = "/a"
			}
		case "move":
			if strings.HasPrefix(op["path"].(string), op["from"].(string)+"/") {
				op["path"] = op["from"]
			}
		case "test":
			op["value"], _ = modelGet(doc, split(op["path"].(string)))
		}
		if _, ok := op["value"]; !ok {
			op["value"] = g.value(2)
		}
		ops = append(ops, g.text(op))
	}
	return "[" + strings.Join(ops, ",") + "]"
}

// pointer returns a pointer into doc, or next to something in it.
func (g generator) pointer(doc any) string {
	var path []string
	for g.IntN(4) > 0 {
		switch d := doc.(type) {
		case map[string]any:
			names := append(slices.Sorted(maps.Keys(d)), g.name())
			path = append(path, pick(g, names...))
			doc = d[path[len(path)-1]]
		case []any:
			i := g.IntN(len(d) + 1)
			if i == len(d) {
				return jsonpatch.Pointer(append(path, pick(g, "-", strconv.Itoa(i), "01"))...)
			}
			path = append(path, strconv.Itoa(i))
			doc = d[i]
		}
	}
	return jsonpatch.Pointer(path...)
}

// Apply and encoding/json agree which texts are JSON: every short text of JSON's own characters, every short number, and
// every short string.
func TestValidDocumentsAreThoseOfEncodingJSON(t *testing.T) {
	check := func(text string) {
		_, err := jsonpatch.Patch{}.Apply([]byte(text))
		if json.Valid([]byte(text)) != (err == nil) {
			t.Errorf("%q: %v", text, err)
		}
	}
	var all func(before, alphabet string, more int, after string)
	all = func(before, alphabet string, more int, after string) {
		check(before + after)
		for _, c := range []byte(alphabet) {
			if more > 0 && !t.Failed() {
				all(before+string(c), alphabet, more-1, after)
			}
		}
	}
	all("", `[]{}":, \01-+.e`, 4, "")
	all("", `01-+.eE`, 5, "")
	all(`["`, "\\\"/bux0d:,]\x1f", 4, `"]`)
	all(`["\u`, "0aG\"\\", 5, `"]`)
	for _, word := range []string{"true", "false", "null"} {
		for i := range word {
			for _, c := range []byte(`tfn rue,"`) {
				check(word[:i] + string(c) + word[i+1:])
				check(word[:i] + string(c) + word[i:])
			}
			check(word[:i])
		}
	}
}
