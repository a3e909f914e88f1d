// Package tokens gets, keeps, renews, uses and revokes OAuth 2.0 access tokens (RFC 6749, 6750, 7009) at ThousandEyes,
// Moov, SailPoint Identity Security Cloud and any other server.
//
// An [Endpoint] asks a server for a token, anew at each call. [NewThousandEyes], [NewMoov] and [NewSailPoint] make one for
// their vendor, [NewEndpoint] for any server, and [Discover] for a server that describes itself. A [Cache] keeps the token
// of an Endpoint and renews it. [NewClient] returns an http.Client that sends it, [NewDoer] what the generated clients of
// this module take, and [NewTransport] a layer to put under an http.Client of one's own. All three send the token to one
// origin and nowhere else.
//
// A user's login by authorization code begins with [Endpoint.AuthorizationURL]. What the server sends back is read by
// [Login.Grant], exchanged by [Endpoint.Exchange], and the token given to a Cache with a Session.
//
// Nothing here reads the environment, keeps a context, or follows a redirect with a credential. All types are safe for
// concurrent use, but for a [Login], which is one user's. http is refused unless the host is loopback.
//
// # Client authentication
//
// Each request authenticates by one method, and none is tried after another: by [AuthStyle], or by an assertion that
// EndpointOptions.Assertion returns (private_key_jwt, RFC 7523). For mutual TLS (RFC 8705), pass an HTTPClient that has the
// client's certificate, and [AuthStyleNone]. Secrets that change come from a [CredentialsFunc] or a [CredentialsFile]: they
// are read before each request, and once more after a 401.
//
// # Errors
//
// A response outside 2xx, a response that cannot be read and the failure to get one are each an [*Error]. It is matched by
// the server's code or by the HTTP status, and decoded into a generated model:
//
//	errors.Is(err, tokens.InvalidGrant)
//	errors.Is(err, tokens.Status(http.StatusTooManyRequests))
//	errors.As(err, &tokenErr) && tokenErr.Decode(&model) == nil
//
// These members become these fields, whatever the media type of the response:
//
//	member or header                                         field of Error
//	error, without spaces (RFC 6749, Moov 400)               Code
//	error, with spaces (SailPoint 401)                       Message
//	error_description                                        Message
//	type (RFC 9457), resolved against the URL                Code, unless about:blank
//	title, detail (RFC 9457)                                 Message
//	errors[] of objects: field, code, message (ThousandEyes) Fields
//	errors[] of strings, httpStatus (ThousandEyes)           Fields, Code
//	errorMessage (ThousandEyes)                              Message
//	members that are fields of the request (Moov 422)        Fields
//	detailCode, messages[0].text, causes (SailPoint)         Code, Message, Fields
//	message (SailPoint 429)                                  Message
//	text that is neither JSON nor HTML                       Message
//	the origin of Location, after a 3xx without any of these Message
//	trackingId (SailPoint), where no header has it           RequestID
//	X-Request-Id, SLPT-Request-ID                            RequestID
//	Retry-After, X-Organization-Rate-Limit-Reset             RetryAfter
//	WWW-Authenticate: Bearer, where the body has none        Code, Message
//
// Members of the wrong type are ignored (RFC 9457, section 3.1). A caller that reads a response of a Doer by itself does so
// by [DecodeResponse], or makes its error by [NewError].
//
// # Secrets
//
// The text of an Error has the method, the URL without user and query, the status, and what the fields above hold, without
// control characters and shortened. Credentials and tokens that the request carried are replaced in it, as whole values and
// in every usual encoding, where they have four characters or more; so is the client id. Short ones within longer words are
// left alone.
//
// Types that hold secrets print redacted under fmt and slog, and as YAML, text and JSON; but a [Token] and a Login marshal to
// JSON as they are, to be stored. fmt calls no methods on the unexported fields of a struct: let those hold a *Token, a
// *Credentials or an Endpoint, and not a Token, a Credentials or options.
//
// # One call
//
// [WithRetry] and [WithResponse] say in a context how often one call is repeated, and where its status and headers go. What
// a call does on its way, such as fetching a token, sees neither.
package tokens
