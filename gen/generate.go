// Package gen holds one generated client per vendor, made from the descriptions in api/ by `go generate ./...`.
//
// Nothing below it is written by hand but package wire and the files doc.go, which lead to the packages that use the
// generated ones, and keep secrets out of logs: change api/<vendor>.yaml or oapi-codegen.yaml and generate again.
package gen

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package thousandeyes -o thousandeyes/thousandeyes.gen.go ../api/thousandeyes.yaml
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package moov -o moov/moov.gen.go ../api/moov.yaml
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package sailpoint -o sailpoint/sailpoint.gen.go ../api/sailpoint.yaml
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package oauth2 -o oauth2/oauth2.gen.go ../api/oauth2.yaml
