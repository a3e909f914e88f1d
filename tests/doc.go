// Package tests holds the tests of behavior across packages, of every vendor by the same table. They use what users can
// use, and the sandbox. Tests of one package are beside its code.
package tests
