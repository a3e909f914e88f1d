// Package tokens gets, keeps, renews, uses and revokes OAuth 2.0 access tokens (RFC 6749, 6750, 7009) at ThousandEyes,
// Moov and SailPoint Identity Security Cloud.
//
// [NewThousandEyes], [NewMoov] and [NewSailPoint] make an [Endpoint], which asks the vendor anew at each call. An API is called
// through a [Doer], which every generated client of this module accepts, or through a [Transport] under any
// http.Client; both send the token to one origin and nowhere else.
//
// Nothing here reads the environment, keeps a context, or follows a redirect with a credential. All types are safe for
// concurrent use. http is refused unless the host is loopback.
//
// # Errors
//
// Every answer outside 2xx, every answer that cannot be read and every failure to get one is an [*Error]. It is matched
// by the vendor's code or by the HTTP status, and decoded into a generated model:
//
//	errors.Is(err, tokens.InvalidGrant)
//	errors.Is(err, tokens.Status(http.StatusTooManyRequests))
//	errors.As(err, &tokenErr) && tokenErr.Decode(&model) == nil
//
// What lands where, whatever the media type says:
//
//	vendor member                                            field of Error
//	error, without spaces (RFC 6749, Moov 400)               Code
//	error, with spaces (SailPoint 401)                       Message
//	error_description                                        Message
//	type (RFC 9457), resolved against the URL                Code, unless about:blank
//	title, detail (RFC 9457)                                 Message
//	errors[] of objects: field, code, message (ThousandEyes) Fields
//	errors[] of strings, httpStatus (ThousandEyes)           Fields, Code
//	members that are fields of the request (Moov 422)        Fields
//	detailCode, messages[0].text, causes (SailPoint)         Code, Message, Fields
//	message (SailPoint 429)                                  Message
//	text that is neither JSON nor HTML                       Message
//	trackingId (SailPoint), where no header has it           RequestID
//	X-Request-Id, SLPT-Request-ID headers                    RequestID
//	Retry-After, X-Organization-Rate-Limit-Reset headers     RetryAfter
//	WWW-Authenticate: Bearer, where the body has none        Code, Message
//
// Members of the wrong type are ignored (RFC 9457, section 3.1). Error texts are made of the method, the URL without
// user and query, the status, and Code, Message and RequestID cleaned of control characters, shortened, and rid of the
// credentials and tokens that the request carried, where they have four characters or more. Answers that a caller reads
// by itself are read by [DecodeResponse], or told of by [NewError].
//
// # One call
//
// [WithRetry] and [WithResponse] say in a context how often one call is repeated, and where its status and headers go.
// What a call does on its way, such as fetching a token, sees neither.
package tokens
