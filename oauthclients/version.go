package oauthclients

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/grantwright/oauth-go/gen/sailpoint"
)

// A Version is a version of SailPoint's API. OAuth clients are the same in all versions.
type Version string

// The versions that have OAuth clients. The vendor will retire all except VersionPerService in the first quarter of
// 2029.
const (
	VersionBeta  Version = "beta"
	VersionV3    Version = "v3"
	VersionV2024 Version = "v2024"
	VersionV2025 Version = "v2025"
	VersionV2026 Version = "v2026"
	// VersionPerService is v1 of the OAuth clients' own service, whose collection is /oauth-clients/v1.
	VersionPerService Version = "v1"
)

const collection = "/oauth-clients"

// inPath matches what the path of the origin must not have, because the Version adds it.
var inPath = regexp.MustCompile(`/(beta|latest|v[0-9]+|oauth-clients)(/|$)`)

// server returns the URL to which the generated client appends its paths, and options that rewrite these paths.
func (v Version) server(origin string) (string, []sailpoint.ClientOption, error) {
	if u, err := url.Parse(origin); err == nil && inPath.MatchString(u.Path) {
		return "", nil, fmt.Errorf("the origin has the path %s; leave it off and set Version", u.Path)
	}
	origin = strings.TrimRight(origin, "/")
	switch v {
	case "":
		return origin + "/" + string(VersionBeta), nil, nil
	case VersionBeta, VersionV3, VersionV2024, VersionV2025, VersionV2026:
		return origin + "/" + string(v), nil, nil
	case VersionPerService:
		return origin, []sailpoint.ClientOption{sailpoint.WithRequestEditorFn(perService)}, nil
	}
	return "", nil, fmt.Errorf("Version %q is unknown; use one of the Version constants", string(v))
}

// perService inserts the service's own version into the path of a request.
func perService(_ context.Context, req *http.Request) error {
	u := req.URL
	u.Path = strings.Replace(u.Path, collection, collection+"/v1", 1)
	u.RawPath = strings.Replace(u.RawPath, collection, collection+"/v1", 1)
	return nil
}
