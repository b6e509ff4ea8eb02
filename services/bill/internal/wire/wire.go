// Package wire owns the translation of the payment service's messages that the event and peer rooms share.
package wire

import (
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// Leg reads a cash leg. A leg that came too late and is being given back never counted for its repayment: it failed.
func Leg(m *paymentv1.CashLeg) app.CashLeg {
	l := app.CashLeg{State: State(m.GetState()), RedirectURL: m.GetRedirectUrl()}
	if m.GetPayTime() != nil {
		l.PayTime = m.GetPayTime().AsTime()
	}
	return l
}

// State reads the state of a leg.
func State(s paymentv1.LegState) app.CashLegState {
	switch s {
	case paymentv1.LegState_LEG_STATE_SUCCEEDED:
		return app.CashLegSucceeded
	case paymentv1.LegState_LEG_STATE_FAILED, paymentv1.LegState_LEG_STATE_RETURNING:
		return app.CashLegFailed
	case paymentv1.LegState_LEG_STATE_REVERSED:
		return app.CashLegReversed
	default:
		return app.CashLegPending
	}
}
