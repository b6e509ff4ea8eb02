package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/text"
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

// nameSigns are what stands in names beside letters: the space, and the signs of D'Arcy, Al-Amin, bin M. Noor, Ahmad, S.Kom.,买买提·艾力 and
// ジョン・スミス, in the forms that keyboards give them.
const nameSigns = " .,'’-‐־·・"

// marksMax bounds the marks on one letter: more are no name, and would grow over the lines around it.
const marksMax = 4

// CheckSigner refuses a name that is none and a number that is none: errs.InvalidArgument.
// A name is as on the identity card, in the letters of any script.
func CheckSigner(name, phone string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > maxSignerName || strings.TrimSpace(name) != name || !strings.ContainsFunc(name, unicode.IsLetter) {
		return errs.InvalidArgument.New("full_name must have 1 to %d characters, letters among them, without spaces around it", maxSignerName).With("field", "full_name")
	}
	if err := checkLetters(name); err != nil {
		return err
	}
	digits, plus := strings.CutPrefix(phone, "+")
	if !plus || len(digits) < 8 || len(digits) > 15 || digits[0] == '0' || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return errs.InvalidArgument.New("phone must be a number with its country, such as +6281234567890").With("field", "phone")
	}
	return nil
}

// checkLetters refuses what is neither a letter of a script, nor a mark on one, nor one of nameSigns.
func checkLetters(name string) error {
	marks := marksMax // a name does not begin with a mark
	for _, r := range name {
		switch {
		case unicode.IsMark(r):
			if marks++; marks > marksMax {
				return errs.InvalidArgument.New("full_name must have a letter before each mark, and at most %d marks on it", marksMax).With("field", "full_name")
			}
		case unicode.IsLetter(r):
			marks = 0
		case r == '\u200C' || r == '\u200D': // text.Line leaves them only between letters that they join
		case strings.ContainsRune(nameSigns, r):
			marks = marksMax
		default:
			return errs.InvalidArgument.New("full_name must be written in letters, as on the identity card; %s is no letter", text.Line(string(r))).With("field", "full_name")
		}
	}
	if text.Line(name) != name {
		return errs.InvalidArgument.New("full_name must have no invisible characters").With("field", "full_name")
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
