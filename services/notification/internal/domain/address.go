package domain

import (
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/reach"
)

// Reach says what may be posted to.
type Reach = reach.Reach

// CheckURL refuses an address that could never be posted to. Errors: ENDPOINT_URL_REFUSED.
func CheckURL(r Reach, address string) error {
	if why := r.RefusesHook(address); why != "" {
		return errs.EndpointURLRefused.New("the address %s", why).With("field", "url")
	}
	return nil
}
