package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/creditpay/creditpay/pkg/errs"
)

// CertificateState is the state of a signer's certificate. The numbers are stored.
type CertificateState uint8

const (
	// CertificateNone says that the user signs with a one-time code alone: no
	// certificate provider (PSrE) has issued a certificate.
	CertificateNone CertificateState = 1
	// CertificateActive says that a provider has issued one, and it is in force.
	CertificateActive CertificateState = 2
)

// TargetKind is where one-time codes go. The numbers are stored.
type TargetKind uint8

// TargetPhone is a telephone number with its country, "+6281234567890".
const TargetPhone TargetKind = 1

// maxSignerName bounds a signer's name in characters.
const maxSignerName = 100

// CheckSigner refuses a name that a contract cannot print and a number that is none:
// errs.InvalidArgument. A name is as on the identity card, which has Latin letters.
func CheckSigner(name, phone string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > maxSignerName || strings.TrimSpace(name) != name || !strings.ContainsFunc(name, unicode.IsLetter) {
		return errs.InvalidArgument.New("full_name must have 1 to %d characters, without spaces around it", maxSignerName).With("field", "full_name")
	}
	for _, r := range name {
		// Latin-1 is what the contract's typeface has.
		if r > unicode.MaxLatin1 || !unicode.IsLetter(r) && !strings.ContainsRune(" .,'-", r) {
			return errs.InvalidArgument.New("full_name must be written in Latin letters, as on the identity card").With("field", "full_name")
		}
	}
	digits, plus := strings.CutPrefix(phone, "+")
	if !plus || len(digits) < 8 || len(digits) > 15 || digits[0] == '0' || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return errs.InvalidArgument.New("phone must be a number with its country, such as +6281234567890").With("field", "phone")
	}
	return nil
}

// MaskName is a name of which the first letter of each word is left, and nothing
// tells how long a word was: "B*** S***".
func MaskName(name string) string {
	words := strings.Fields(name)
	for i, w := range words {
		first, _ := utf8.DecodeRuneInString(w)
		words[i] = string(first) + "***"
	}
	return strings.Join(words, " ")
}

// MaskPhone is a number of which the country, the first digit and the last three are
// left, and nothing tells how long it was: "+62 8** *** *123".
func MaskPhone(phone string) string {
	const country, tail = 3, 3
	if len(phone) < country+1+tail {
		return "***"
	}
	return phone[:country] + " " + phone[country:country+1] + "** *** *" + phone[len(phone)-tail:]
}
