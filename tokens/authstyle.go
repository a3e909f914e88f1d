package tokens

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// AuthStyle is how the client authenticates at the token endpoint (RFC 6749, section 2.3.1). Exactly one is used per
// request, and none is ever tried after another.
type AuthStyle int

// The styles. The default is the body for ThousandEyes and SailPoint, Basic for Moov.
const (
	AuthStyleDefault        AuthStyle = iota
	AuthStyleBasic                    // HTTP Basic with id and secret form-encoded first, as RFC 6749 has it
	AuthStyleBasicUnencoded           // HTTP Basic with id and secret as they are, for servers that do not decode them
	AuthStyleBody                     // client_id and client_secret as form fields
)

func (s AuthStyle) valid() bool { return s >= AuthStyleBasic && s <= AuthStyleBody }

// basic returns the Authorization header for one of the Basic styles.
func (s AuthStyle) basic(c Credentials) string {
	id, secret := c.ClientID, c.ClientSecret
	if s == AuthStyleBasic {
		id, secret = formEncode(id), formEncode(secret)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// formEncode is application/x-www-form-urlencoded as the URL standard serializes it; url.QueryEscape treats * and ~ the
// other way round.
func formEncode(s string) string {
	return strings.NewReplacer("%2A", "*", "~", "%7E").Replace(url.QueryEscape(s))
}
