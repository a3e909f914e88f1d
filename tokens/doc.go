// Package tokens gets, keeps, renews, uses and revokes OAuth 2.0 access tokens (RFC 6749, 6750, 7009) at ThousandEyes,
// Moov, SailPoint Identity Security Cloud and any other server.
//
//	endpoint, err := tokens.NewThousandEyes(tokens.Credentials{ClientID: id, ClientSecret: secret}, nil)
//	if err != nil {
//		return err
//	}
//	cache, err := tokens.NewCache(endpoint, nil)
//	if err != nil {
//		return err
//	}
//	client, err := tokens.NewClient(cache, nil)
//	if err != nil {
//		return err
//	}
//	resp, err := client.Get(endpoint.BaseURL() + "/v7/tests") // client is an ordinary http.Client
//
// An [Endpoint] requests tokens from a server, a new one on each call. [NewThousandEyes], [NewMoov] and [NewSailPoint]
// return one for their vendor, [NewEndpoint] for any server, and [Discover] for a server that publishes its metadata. A
// [Cache] keeps the token of an Endpoint and renews it. [NewClient] returns an http.Client that sends the token,
// [NewDoer] an HTTP client for the generated clients of this module, and [NewTransport] an http.RoundTripper for an
// http.Client of your own. All three send the token to one origin only.
//
// A user's login by authorization code begins with [Endpoint.AuthorizationURL]. [Login.Grant] reads the callback and
// [Endpoint.Exchange] exchanges the code; then pass the token to Set of a Cache with a Session.
//
// The package does not read the environment, does not retain contexts, and does not follow a redirect with credentials.
// All types are safe for concurrent use, except [Login], which belongs to one user. http is refused unless the host is
// loopback.
//
// # Client authentication
//
// Each request uses one method of client authentication, and no other is tried: an [AuthStyle], or an assertion that
// EndpointOptions.Assertion returns (private_key_jwt, RFC 7523). For mutual TLS (RFC 8705), pass an HTTPClient with the
// client's certificate, and [AuthStyleNone]. For secrets that change, use a [CredentialsFunc] or a [CredentialsFile]:
// they are called before each request, and once more after a 401.
//
// # Errors
//
// A response outside 2xx, a response that cannot be read, and the absence of a response are all an [*Error]. Match it
// by the server's code or by the HTTP status, or decode it into a generated model:
//
//	errors.Is(err, tokens.InvalidGrant)
//	errors.Is(err, tokens.Status(http.StatusTooManyRequests))
//	errors.As(err, &tokenErr) && tokenErr.Decode(&model) == nil
//
// An Error is filled from these members, whatever the media type of the response:
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
// Members of the wrong type are ignored (RFC 9457, section 3.1). To read the response of a Doer yourself, use
// [DecodeResponse]; to make its error, use [NewError].
//
// # Secrets
//
// The text of an Error contains the method, the URL without user and query, the status, and the fields above, shortened
// and without control characters. Credentials and tokens of the request are replaced in it, as whole values and in
// every usual encoding, if they have four or more characters; so is the client id. Short ones inside longer words are
// not replaced.
//
// Types that hold secrets print redacted with fmt and slog, and as YAML, text and JSON, except that a [Token], a Login
// and a [Record] marshal to JSON with their real values, for storage. fmt does not call methods on unexported fields of
// a struct: there, Token, Credentials, Grant, Login, Record and options print in the clear; behind a pointer, they do so
// with %s and %q, but not with %v, %+v and %#v. Use a [Source], an Endpoint, a [CredentialsFunc] or a client in such
// fields instead; these never show a secret (TestWhatPrintsRedacted, TestRecordPrintsNoValue,
// TestUnexportedFieldsShowNoSecrets).
//
// # Many processes
//
// Caches with the same [Store] share one token: one of them fetches it, and the others read it from the Store. These
// are the guarantees, and the tests that show them, if the Store is linearizable for one key and loses nothing:
//
//   - One request renews a token, however many processes there are (TestOneRequestForAFleet, TestSimulationQuiet). One
//     request replaces a token that the API rejected (TestRejectedTokenIsRenewedOnceByAFleet).
//   - Two live processes never present the same refresh token at the same time, unless the operating system suspended
//     one of them (TestSimulationOfSingleFaults, TestSimulationOfManyFaults).
//   - An older login never replaces a newer one. A process that has read the Store since a login or logout never uses
//     the token from before (TestSimulationOfSingleFaults, TestSimulationOfManyFaults, TestInitialDoesNotUndoALogout).
//   - After a crash, an outage of the Store or a lost response, every process gets a token as soon as the server and
//     the Store work again, and at the latest after two holds of 90 s (TestSimulationOfSingleFaults). If a process dies
//     while it fetches an application's token, callers without a token wait 10 s (TestFleet).
//   - A process with a token reads the Store once per minute of use, or ten times in the life of a short-lived token,
//     and makes at most three more calls for each token (TestStoreCallsOfAQuietFleet). A process in use therefore
//     notices a login or logout elsewhere within a minute, and an idle process with its second call
//     (TestSetAndRevokeAreObeyedElsewhere). A process without a login, whose callers get [ErrLoginRequired], reads the
//     Store with each call, but at most every 250 ms (TestLooksOfAProcessWithoutALogin).
//   - A failure applies to all processes, together with the time to wait (TestFailureIsSharedThroughTheStore,
//     TestInvalidGrantIsFinalForAll).
//   - No clock needs to be right. Wall clocks may differ by a day, and monotonic clocks may run 1 % fast or slow, or
//     stop while the machine sleeps (TestSimulationOfSingleFaults, TestRecordsArePlaced,
//     TestRecordsAgeWhileTheMachineSleeps).
//   - A record of a newer release, or of another program, is not changed (TestForeignRecordsAreLeftAlone). Members that
//     this release does not know are preserved (TestUnknownMembersSurvive).
//   - A Store that hangs, panics or contradicts itself causes neither an endless loop nor a caller that waits for ever
//     (TestStoreThatPanicsOrHangs, TestStoresThatNeverAgree, TestSetWithAStoreThatHangs).
//
// While the Store is unreachable, a token is used until it expires. After that, each process fetches its own
// application token; on a server where a new token ends the older ones, these processes invalidate each other's. A
// login fails with [ErrStore], unless CacheOptions.RefreshWithoutStore allows a refresh (TestStoreDown).
//
// There are limits. On a server that ends a login when a refresh token is used twice, no client can save the login if
//
//   - the response with the next refresh token never arrived, or arrived after the timeout;
//   - the process crashed between that response and its write to the Store, or was suspended or cut off from the Store
//     for more than 90 s there;
//   - a process was suspended for more than 90 s between reading the Store and the arrival of its request;
//   - the Store lost the last writes, and every process that knew them is gone or has not read the Store yet, which
//     takes a minute at most: keep logins in a durable Store, or set CacheOptions.SeedDelay (TestSeedDelay);
//   - Set returned an error for a login that no other process has (TestSetReportsWhatTheStoreDidNotTake).
//
// The simulation in TestSimulationOfSingleFaults and TestSimulationOfManyFaults distinguishes these losses from others
// and counts them.
//
// # Logs
//
// A Logger receives a line for each background event: a token arrived, was dropped or could not be fetched; a request
// is repeated; a rate limit closes and opens the Limiter; a hook or the Store panics, with the stack. It never receives
// a token. If a handler panics, its line is lost, but nothing else happens. Lines about a Cache, an Endpoint or a call
// with their tokens have these attributes, as far as they are known (TestLogLinesSayWhoseTokenAndWhatComesNext):
//
//	vendor   the vendor, or the host of another server's token endpoint
//	client   the first eight hexadecimal digits of the SHA-256 of the client id
//	session  the first eight hexadecimal digits of the SHA-256 of CacheOptions.Session
//	expiry   when the token of the event expires or, if there is none, the current token
//	next     what happens next: renewal, retry, fetch, login, and so on
//	next_in  how long until then
//
// # One call
//
// [WithRetry] and [WithResponse] set options of a single call in its context: its retry policy, and where to store the
// status and headers of its response. They do not affect requests that the call depends on, such as a token request.
package tokens
