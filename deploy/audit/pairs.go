package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/creditpay/creditpay/pkg/audit"

	"github.com/creditpay/creditpay/services/bill"
	"github.com/creditpay/creditpay/services/order"
	"github.com/creditpay/creditpay/services/payment"
	"github.com/creditpay/creditpay/services/refund"
)

// book is what one service says of some money: the name of a query of its AuditBooks.
type book struct{ service, name string }

// pair is money that two services or three have in their books.
type pair struct {
	// name of the check.
	name string
	// rule says what must hold, for people.
	rule string
	// books that are compared, by their keys.
	books []book
	// key is the kind of id that begins a key; empty for a typed one.
	key string
	// wrong says how the books contradict each other; empty when they agree. What a service does not say is the zero fact.
	wrong func(seen []fact) string
}

// pairs are all pairs of books besides orders, payments, loans and refunds of the same order, which services_agree compares.
func pairs() []pair {
	return []pair{
		{"repayment_has_its_leg", "a repayment succeeded when cash of its amount and user arrived in its leg, and never otherwise; cash arrives for a repayment",
			[]book{{bill.Name, "repayments"}, {payment.Name, "repayments"}}, "rpy", repaymentAgainstLeg},
		{"kept_cash_agrees", "the cash of down payments that payment gave up is the credit balance that bill made of it, of the same user",
			[]book{{payment.Name, "kept_cash"}, {bill.Name, "kept_cash"}}, "leg", equal},
		{"refund_adjusted_its_loan", "what a refund takes of the credit is what bill took from the order's loan",
			[]book{{refund.Name, "refund_adjusted"}, {bill.Name, "refund_credit"}}, "rfd", equal},
		{"refund_balance_agrees", "what of a refund became credit balance at once is the same in both books",
			[]book{{refund.Name, "refund_balance"}, {bill.Name, "refund_balance"}}, "rfd", equal},
		{"refund_reduced_its_payment", "what a refund takes of the credit is what payment took from the order's payment",
			[]book{{refund.Name, "refund_credit"}, {payment.Name, "refund_credit"}}, "rfd", equal},
		{"refund_gave_its_cash", "what a refund gives back of a down payment is what payment took from the order's payment",
			[]book{{refund.Name, "refund_cash"}, {payment.Name, "refund_cash"}}, "rfd", equal},
		{"refund_parts_agree", "what a refund gives back by a repayment is returned, or is credit balance, and not both",
			[]book{{bill.Name, "refund_parts"}, {payment.Name, "refund_parts"}, {refund.Name, "refund_parts"}}, "rfd", refundPart},
		{"refund_legs_have_returns", "a leg of a refund is the return that payment makes, of the same amount and in the same state",
			[]book{{refund.Name, "refund_returns"}, {payment.Name, "refund_returns"}}, "", legAgainstReturn},
		{"down_payment_agrees", "what an order's plan asks for at once is what was paid of it in cash",
			[]book{{bill.Name, "down_payments"}, {payment.Name, "down_payments"}}, "ord", downPayment},
		{"order_knows_its_refunds", "what an order says was refunded is the sum of its refunds that succeeded",
			[]book{{order.Name, "refunded"}, {refund.Name, "refunded"}}, "ord", equal},
	}
}

// comparePair walks the books of a pair side by side.
func (a *auditor) comparePair(ctx context.Context, p pair) (found []Finding, err error) {
	var told []source
	for _, b := range p.books {
		for _, s := range a.schemas {
			if s.name == b.service {
				told = append(told, source{s, s.books[b.name]})
			}
		}
	}
	err = walk(ctx, told, func(key string, seen []fact) {
		text := p.wrong(seen)
		if text == "" || len(found) >= audit.MaxFindings {
			return
		}
		for i, b := range p.books {
			text += fmt.Sprintf("; %s says %s", b.service, seen[i])
		}
		found = append(found, Finding{Service: "suite", Check: p.name, ID: idOf(p.key, key), Text: text})
	})
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", p.name, err)
	}
	return found, nil
}

// idOf is a key for people: the typed id of its first half.
func idOf(kind, key string) string {
	if kind == "" {
		return key
	}
	return audit.TypedID(kind + ":" + key[:min(len(key), 32)])
}

// equal wants both books to say the same, or nothing.
func equal(seen []fact) string {
	if seen[0] == seen[1] {
		return ""
	}
	return "the books differ"
}

// cut parts "STATE user currency" into the state and the rest.
func (f fact) cut() (state, rest string) {
	state, rest, _ = strings.Cut(f.state, " ")
	return state, rest
}

// repaymentAgainstLeg compares a repayment of the bill service with the leg of the payment service that collects its cash.
func repaymentAgainstLeg(seen []fact) string {
	repayment, ofRepayment := seen[0].cut()
	leg, ofLeg := seen[1].cut()
	if repayment != "" && leg != "" && (ofRepayment != ofLeg || seen[0].minor != seen[1].minor) {
		return "amount, user or currency differ"
	}
	allowed := map[string][]string{
		// A crash may have come between the repayment and its leg.
		"PENDING": {"", "PENDING"}, "SUCCEEDED": {"SUCCEEDED"},
		// What came too late for a repayment that had failed goes back.
		"FAILED": {"", "FAILED", "RETURNING", "REVERSED"},
		// An operator may say that money was not good that the marketplace has not taken back.
		"BOUNCED": {"REVERSED", "SUCCEEDED"},
	}
	for _, state := range allowed[repayment] {
		if state == leg {
			return ""
		}
	}
	switch repayment {
	case "":
		return "cash is collected for a repayment that does not exist"
	case "SUCCEEDED":
		return "a repayment succeeded whose cash is not there"
	default:
		return "the states do not go together"
	}
}

// refundPart compares a part of a refund that goes back by a repayment: bill's record, payment's return and refund's leg.
func refundPart(seen []fact) string {
	owed, back, leg := seen[0], seen[1], seen[2]
	switch {
	case owed.state == "":
		return "nothing is to go back by this repayment"
	case leg.state == "":
		return "no refund gives this back"
	case back.state != "" && back.minor != owed.minor, leg.minor != owed.minor:
		return "the amounts differ"
	case owed.state == "KEPT" && back.state != "" && back.state != "ABANDONED":
		return "it goes back and is credit balance"
	case owed.state == "BACK" && back.state == "ABANDONED":
		return "it does not go back and is no credit balance"
	case leg.state == "KEPT" && owed.state != "KEPT":
		return "the refund takes it for credit balance"
	case leg.state == "RETURNED" && back.state == "":
		return "the refund takes it for returned"
	default:
		return ""
	}
}

// legAgainstReturn compares a leg of a refund with the return of the payment service.
func legAgainstReturn(seen []fact) string {
	leg, back := seen[0], seen[1]
	if back.state == "ABANDONED" {
		back.state = "KEPT"
	}
	return equal([]fact{leg, back})
}

// downPayment compares what an order's plan asks for at once with what was paid in cash.
func downPayment(seen []fact) string {
	plan, paid := seen[0], seen[1]
	switch {
	case paid.state == "":
		if plan.state == "BEGUN" {
			return "a loan began whose down payment was not paid"
		}
		return "" // The commit waits for it, or was given up.
	case plan.minor != paid.minor:
		return "the amounts differ"
	default:
		return ""
	}
}

// Pairs are the checks that compare services, with the services whose books each compares.
func Pairs() map[string][]string {
	out := map[string][]string{}
	for _, p := range pairs() {
		for _, b := range p.books {
			out[p.name] = append(out[p.name], b.service)
		}
	}
	return out
}
