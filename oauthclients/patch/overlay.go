package patch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// Overlay returns a copy of client with the members of doc, a JSON object. Fields that doc does not have keep their
// value; null sets a field to null if it may be null. The copy is deep: it shares no pointer and no slice with client,
// so that [Diff] of the two finds every change.
//
// These are errors: a name that is not exactly that of a member, a name that occurs twice, a value of the wrong type, a
// null where none is allowed, and anything after the object. Members that cannot be patched are set too, and Diff then
// reports them.
func Overlay(client sailpoint.OAuthClient, doc []byte) (sailpoint.OAuthClient, error) {
	after := client
	v := reflect.ValueOf(&after).Elem()
	fields := map[string]reflect.Value{}
	for f, field := range v.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = field
		copyField(field)
	}
	members, err := object(doc)
	if err != nil {
		return client, fmt.Errorf("patch: overlay: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field, ok := fields[name]
		if !ok {
			return client, fmt.Errorf("patch: overlay: a client has no member %q", name)
		}
		null := bytes.Equal(members[name], []byte("null"))
		if null && field.Kind() != reflect.Pointer && field.Kind() != reflect.Slice {
			return client, fmt.Errorf("patch: overlay: member %q cannot be null", name)
		}
		field.SetZero()
		if err := json.Unmarshal(members[name], field.Addr().Interface()); err != nil {
			return client, fmt.Errorf("patch: overlay: member %q: %w", name, err)
		}
	}
	return after, nil
}

// copyField makes a field of a copied client independent of the original.
func copyField(field reflect.Value) {
	switch {
	case field.Kind() == reflect.Pointer && !field.IsNil():
		value := reflect.New(field.Type().Elem())
		value.Elem().Set(field.Elem())
		field.Set(value)
	case field.Kind() == reflect.Slice && !field.IsNil():
		values := reflect.MakeSlice(field.Type(), field.Len(), field.Len())
		reflect.Copy(values, field)
		field.Set(values)
	}
}

// object returns the members of a JSON object. It is as strict as package jsonpatch.
func object(doc []byte) (map[string]json.RawMessage, error) {
	if _, err := jsonpatch.Patch(nil).Apply(doc); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(doc, &members); err != nil || members == nil {
		return nil, errors.New("the document is not a JSON object")
	}
	return members, nil
}
