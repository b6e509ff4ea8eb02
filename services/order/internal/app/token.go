package app

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/creditpay/creditpay/pkg/ids"
)

// tokenPurpose separates these authentication codes from all others of the keyring.
const tokenPurpose = "checkout-token"

// Token is the secret that opens a checkout together with the payer's session: base64url of the checkout's id and of its
// authentication code (HMAC-SHA256). It is not stored; after a rotation of keys the old token still opens.
func (a *App) Token(checkout ids.ID) string {
	return base64.RawURLEncoding.EncodeToString(append(checkout[:], a.Keyring.MAC(tokenPurpose, checkout[:])...))
}

// readToken gives the checkout of a token; false when this service did not make the token.
func (a *App) readToken(token string) (ids.ID, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	var id ids.ID
	if err != nil || len(raw) <= len(id) {
		return ids.ID{}, false
	}
	copy(id[:], raw)
	return id, a.Keyring.VerifyMAC(tokenPurpose, raw[len(id):], id[:])
}

// CashierURL is where to send the payer of a checkout.
func (a *App) CashierURL(checkout ids.ID) string {
	separator := "?"
	if strings.Contains(a.Settings.CashierURL, "?") {
		separator = "&"
	}
	return a.Settings.CashierURL + separator + "token=" + url.QueryEscape(a.Token(checkout))
}
