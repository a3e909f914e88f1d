// To get tokens, use package tokens of this module instead: tokens.NewAcme sends the requests of this package, with
// credentials, retries and errors.
package acme
