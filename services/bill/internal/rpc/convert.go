// Package rpc owns the gRPC door of the bill service: it turns messages into the app's
// requests and its answers into messages.
//
// It must not hold a rule, keep state, or know SQL. What a field may hold is said in the
// .proto and checked before a method runs; here ids and amounts are parsed.
package rpc

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/rpckit"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// invalid is the refusal of a field.
func invalid(field string, cause error, format string, args ...any) error {
	return errs.InvalidArgument.Wrap(cause, "%s: %s", field, fmt.Sprintf(format, args...)).With(rpckit.FieldKey, field)
}

func parseID(field string, prefix ids.Prefix, text string) (ids.ID, error) {
	id, err := ids.Parse(prefix, text)
	if err != nil {
		return ids.ID{}, invalid(field, err, "give an id of the form %s_…", prefix)
	}
	return id, nil
}

func parseIDs(field string, prefix ids.Prefix, texts []string) ([]ids.ID, error) {
	out := make([]ids.ID, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = parseID(fmt.Sprintf("%s[%d]", field, i), prefix, text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func parseAmount(field string, m *commonv1.Money) (money.Amount, error) {
	c, err := money.CurrencyOf(m.GetCurrencyCode())
	if err != nil {
		return money.Amount{}, invalid(field+".currency_code", err, "this currency is not known")
	}
	a := money.New(m.GetAmountMinor(), c)
	if err := money.Bounded(a); err != nil {
		return money.Amount{}, invalid(field+".amount_minor", err, "the amount is too large")
	}
	return a, nil
}

func parseOrders(list []*billv1.FinancedOrder) ([]app.FinancedOrder, error) {
	out := make([]app.FinancedOrder, len(list))
	for i, o := range list {
		field := fmt.Sprintf("orders[%d]", i)
		id, err := parseID(field+".order_id", ids.Order, o.GetOrderId())
		if err != nil {
			return nil, err
		}
		amount, err := parseAmount(field+".amount", o.GetAmount())
		if err != nil {
			return nil, err
		}
		if !amount.IsPositive() {
			return nil, invalid(field+".amount.amount_minor", nil, "the amount must be above zero")
		}
		out[i] = app.FinancedOrder{OrderID: id, MerchantID: o.GetMerchantId(), Amount: amount}
	}
	return out, nil
}

func moneyOf(a money.Amount) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(a.Minor()), CurrencyCode: a.Currency().Code()}
}

// timeOf is nil for the zero time, "not set".
func timeOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// reasonOf is the contract's value for the reason of err; UNSPECIFIED for nil.
func reasonOf(err error) commonv1.ErrorReason {
	reason, ok := errs.ReasonOf(err)
	if !ok {
		return commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	return commonv1.ErrorReason(commonv1.ErrorReason_value["ERROR_REASON_"+reason.Name()])
}

func planOf(p domain.Plan) *commonv1.Plan {
	out := &commonv1.Plan{
		ProductCode: p.ProductCode, ProductVersion: int32(p.ProductVersion), TenorMonths: int32(p.TenorMonths),
		InterestMethod: commonv1.InterestMethod(p.Method),
		Principal:      moneyOf(p.Principal), Interest: moneyOf(p.Interest), Fee: moneyOf(p.Fee), Total: moneyOf(p.Total),
		MonthlyRatePpm: p.MonthlyRatePPM, EffectiveAnnualRatePpm: p.EffectiveAnnualRatePPM, DownPayment: moneyOf(p.DownPayment),
		Instalments: make([]*commonv1.PlanInstalment, len(p.Instalments)),
	}
	for i, in := range p.Instalments {
		out.Instalments[i] = &commonv1.PlanInstalment{
			Sequence: int32(in.Sequence), DueDate: in.DueDate.String(),
			Principal: moneyOf(in.Principal), Interest: moneyOf(in.Interest), Fee: moneyOf(in.Fee), Total: moneyOf(in.Total),
		}
	}
	return out
}

func summaryOf(a app.Account) *commonv1.CreditSummary {
	return &commonv1.CreditSummary{
		State: commonv1.CreditAccountState(a.State),
		Limit: moneyOf(a.Limit), Used: moneyOf(a.Used), Held: moneyOf(a.Held), Available: moneyOf(a.Available()),
	}
}

func accountOf(a app.Account) *billv1.CreditAccount {
	return &billv1.CreditAccount{
		AccountId: ids.Format(ids.Account, a.ID), UserId: a.UserID, Summary: summaryOf(a),
		FreezeReason: a.FreezeReason, OpenTime: timeOf(a.OpenTime), Version: a.Version, CreditBalance: moneyOf(a.Credit),
	}
}

func loanOf(l app.Loan) *billv1.Loan {
	return &billv1.Loan{
		LoanId: ids.Format(ids.Loan, l.ID), OrderId: ids.Format(ids.Order, l.OrderID), UserId: l.UserID,
		CommitId: ids.Format(ids.Commit, l.CommitID), State: billv1.LoanState(l.State),
		Plan: planOf(l.Plan), OutstandingPrincipal: moneyOf(l.Outstanding),
		DraftTime: timeOf(l.DraftTime), ActivateTime: timeOf(l.ActivateTime),
	}
}
