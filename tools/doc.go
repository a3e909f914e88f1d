// Package tools is the module that pins the code generator, so that its dependencies reach no importer's. The modules
// below it are the project's other tools: lint pins the linter, specsync follows the vendors' descriptions, and apidiff
// compares the exported API with the last release's.
package tools
