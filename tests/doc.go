// Package tests has the tests of behavior across packages; they run for every vendor in one table. They use only what
// users can use, and the sandbox. Tests of a single package are in that package.
package tests
