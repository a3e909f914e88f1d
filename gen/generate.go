// Package gen holds one generated client per vendor, made from the descriptions in api/ by `go generate ./...`.
//
// Except for package wire, all code below is generated. The files doc.go are written by hand: they direct users to the
// packages that use the generated ones, and keep secrets out of logs. To change the generated code, edit
// api/<vendor>.yaml or oapi-codegen.yaml and generate again.
package gen

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package thousandeyes -o thousandeyes/thousandeyes.gen.go ../api/thousandeyes.yaml
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package moov -o moov/moov.gen.go ../api/moov.yaml
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package sailpoint -o sailpoint/sailpoint.gen.go ../api/sailpoint.yaml
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package oauth2 -o oauth2/oauth2.gen.go ../api/oauth2.yaml
