package domain

import "github.com/creditpay/creditpay/pkg/reach"

// CheckAddresses refuses addresses of a draft that could never be used: where the payer goes next, and where the marketplace is
// told. Errors: errs.InvalidArgument.
func (d Draft) CheckAddresses(r reach.Reach) error {
	if why := r.RefusesPage(d.RedirectURL); why != "" {
		return invalid("redirect_url", "redirect_url %s", why)
	}
	if d.NotifyURL == "" {
		return nil
	}
	if why := r.RefusesHook(d.NotifyURL); why != "" {
		return invalid("notify_url", "notify_url %s", why)
	}
	return nil
}
