package app_test

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

func TestGeneratePayments_RefusesUnusableAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for field, change := range map[string]func(*domain.Draft){
		"notify_url":   func(d *domain.Draft) { d.NotifyURL = "https://169.254.169.254/latest" },
		"redirect_url": func(d *domain.Draft) { d.RedirectURL = "http://localhost:3000/" },
	} {
		d := draft("addr-" + field)
		change(&d)
		_, err := w.GeneratePayments(t.Context(), app.Generate{Caller: spm(), RequestID: "addr-" + field, Draft: d})
		if !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%s: %v", field, err)
		}
		// Nothing was stored: the same number is free for a request that is right.
		w.generate("again-"+field, draft("addr-"+field))
	}
}
