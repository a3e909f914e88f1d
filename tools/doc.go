// Package tools is the module that pins the code generator, so that its dependencies do not reach users of the SDK. The
// modules below it are the other tools of the project: lint pins the linter, specsync follows the vendors'
// descriptions, and apidiff compares the exported API with that of the last release.
package tools
