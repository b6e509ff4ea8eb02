package domain

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/secret"
)

// SecretPrefix stands before the base64 of a Standard Webhooks secret.
const SecretPrefix = "whsec_"

// SecretSize is how many random bytes a secret has.
const SecretSize = 32

// ErrSecret is answered for a secret that is not of its profile's form.
var ErrSecret = errors.New("malformed signing secret")

// NewSecret is the text of a secret out of random bytes.
func (p Profile) NewSecret(random []byte) secret.Masked {
	if p == Standard {
		return secret.Masked(SecretPrefix + base64.StdEncoding.EncodeToString(random))
	}
	return secret.Masked(hex.EncodeToString(random))
}

func hmacSHA256(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(message)) // a hash never fails
	return h.Sum(nil)
}

// SignStandard is the signature of Standard Webhooks, "v1,<base64>": HMAC-SHA256 of "id.timestamp.body" under the secret's bytes.
func SignStandard(key secret.Masked, id string, at time.Time, body []byte) (string, error) {
	text, ok := strings.CutPrefix(key.Reveal(), SecretPrefix)
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		return "", ErrSecret
	}
	return "v1," + base64.StdEncoding.EncodeToString(hmacSHA256(raw, id+"."+strconv.FormatInt(at.Unix(), 10)+"."+string(body))), nil
}

// SignPayProtocol is X-PAY-SIGN: base64 of HMAC-SHA256 over timestamp (unix seconds), method, path with query, and body.
func SignPayProtocol(key secret.Masked, at time.Time, method, path string, body []byte) string {
	return base64.StdEncoding.EncodeToString(hmacSHA256([]byte(key.Reveal()), strconv.FormatInt(at.Unix(), 10)+method+path+string(body)))
}

// GMCanonical is what a cashier desk's signature is of: the fields that are not empty, without the signature, sorted by name, as
// "name=value" joined by "&".
func GMCanonical(fields map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != gmSignature && fields[name] != "" {
			parts = append(parts, name+"="+fields[name])
		}
	}
	return strings.Join(parts, "&")
}

// SignGM1 is the cashier desk's older signature: MD5 of the text with the key behind it. MD5 is what that protocol asks for, broken as
// it is; GM2 is for everybody who can check it.
func SignGM1(key secret.Masked, canonical string) string {
	sum := md5.Sum([]byte(canonical + "&key=" + key.Reveal()))
	return hex.EncodeToString(sum[:])
}

// SignGM2 is the cashier desk's signature: the first 32 hex digits of HMAC-SHA256.
func SignGM2(key secret.Masked, canonical string) string {
	return hex.EncodeToString(hmacSHA256([]byte(key.Reveal()), canonical))[:32]
}

// Message is what is posted at one attempt.
type Message struct {
	Body []byte
	// Headers besides the content type.
	Headers map[string]string
}

// Stamp is what an attempt adds to what was frozen.
type Stamp struct {
	// EventID is the same at every attempt.
	EventID string
	// URL that is posted to.
	URL string
	// KeyName is the name under which the receiver knows the key; empty for Standard.
	KeyName string
	// Keys that are good now, the newest first, one at least.
	Keys []secret.Masked
	// Time by the machine's clock: a receiver compares it with its own.
	Time time.Time
	// Nonce is digits that are never used twice within a millisecond.
	Nonce string
}

// nonce is digits that are never used twice.
func (s Stamp) nonce() string { return strconv.FormatInt(s.Time.UnixMilli(), 10) + s.Nonce }

// known is the key that signs where a message carries one signature: the oldest that is good. The receiver has it; the newer one was shown
// when the rotation began, and the overlap is the time to enter it there.
func (s Stamp) known() secret.Masked { return s.Keys[len(s.Keys)-1] }

// Sign makes the message of one attempt out of a frozen body. Under Standard every key that is good signs, the newest first; the
// others carry one signature, see known.
func (p Profile) Sign(body []byte, s Stamp) (Message, error) {
	if len(s.Keys) == 0 {
		return Message{}, ErrSecret
	}
	switch p {
	case Standard:
		var signatures []string
		for _, key := range s.Keys {
			one, err := SignStandard(key, s.EventID, s.Time, body)
			if err != nil {
				return Message{}, err
			}
			signatures = append(signatures, one)
		}
		return Message{Body: body, Headers: map[string]string{"webhook-id": s.EventID, "webhook-timestamp": strconv.FormatInt(s.Time.Unix(), 10),
			"webhook-signature": strings.Join(signatures, " ")}}, nil
	case PayProtocol:
		u, err := url.Parse(s.URL)
		if err != nil {
			return Message{}, fmt.Errorf("read the address: %w", err)
		}
		return Message{Body: body, Headers: map[string]string{"X-PAY-KEY": s.KeyName, "X-PAY-TIMESTAMP": strconv.FormatInt(s.Time.Unix(), 10),
			"X-PAY-SIGN": SignPayProtocol(s.known(), s.Time, "POST", u.RequestURI(), body)}}, nil
	case CashierDesk:
		return signCashierDesk(body, s, SignGM2)
	case CashierDeskGM1:
		return signCashierDesk(body, s, SignGM1)
	case CheckoutJSP:
		return signCheckout(body, s)
	default:
		return Message{}, fmt.Errorf("%s is no profile", p)
	}
}

// The fields that a cashier desk's signature adds to a body.
const (
	gmAppID     = "appId"
	gmNonce     = "nonce"
	gmTimestamp = "timestamp"
	gmSignature = "signature"
)

// gmLife is how long a cashier desk's message is good; its timestamp is the end.
const gmLife = 10 * time.Minute

// signCashierDesk adds appId, nonce, timestamp and signature to a frozen body, which stays as it is. All fields of the outermost
// level that are no objects or lists are signed.
func signCashierDesk(body []byte, s Stamp, sign func(key secret.Masked, canonical string) string) (Message, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return Message{}, fmt.Errorf("read the body: %w", err)
	}
	added := [][2]string{{gmAppID, s.KeyName}, {gmNonce, s.nonce()},
		{gmTimestamp, strconv.FormatInt(s.Time.Add(gmLife).UnixMilli(), 10)}}
	scalars := map[string]string{}
	for name, raw := range fields {
		if text, ok := scalar(raw); ok {
			scalars[name] = text
		}
	}
	for _, f := range added {
		scalars[f[0]] = f[1]
	}
	added = append(added, [2]string{gmSignature, sign(s.known(), GMCanonical(scalars))})
	return Message{Body: withFields(body, len(fields) > 0, added)}, nil
}

// withFields is a frozen JSON object, which stays as it is, with more fields behind the others, if it has any.
func withFields(body []byte, others bool, added [][2]string) []byte {
	frozen := bytes.TrimSpace(body)
	out := bytes.NewBuffer(slices.Clone(frozen[:len(frozen)-1]))
	for i, f := range added {
		if i > 0 || others {
			out.WriteByte(',')
		}
		out.WriteString(strconv.Quote(f[0]) + ":" + strconv.Quote(f[1])) // letters, digits, dots, dashes and underscores only
	}
	out.WriteByte('}')
	return out.Bytes()
}

// scalar is a JSON value as a signature sees it; false for objects, lists and null.
func scalar(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case '{', '[', 'n':
		return "", false
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	default:
		return string(raw), true
	}
}
