package rpc

import (
	"errors"
	"fmt"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
	"github.com/creditpay/creditpay/services/order/internal/wire"
)

func readDraft(req *orderv1.GeneratePaymentsRequest) (domain.Draft, error) {
	if t := req.GetExpireTime(); t != nil && !t.IsValid() {
		return domain.Draft{}, errs.InvalidArgument.New("expire_time is no time between the years 1 and 9999").With("field", "expire_time")
	}
	d := domain.Draft{
		UserID: req.GetUserId(), Business: req.GetBusiness(), CurrencyCode: req.GetCurrencyCode(), RedirectURL: req.GetRedirectUrl(),
		NotifyURL: req.GetNotifyUrl(), ExpireTime: wire.ReadTime(req.GetExpireTime()), Orders: make([]domain.OrderDraft, len(req.GetOrders())),
	}
	for i, o := range req.GetOrders() {
		amount, err := readAmount(fmt.Sprintf("orders[%d].amount", i), o.GetAmount())
		if err != nil {
			return domain.Draft{}, err
		}
		d.Orders[i] = domain.OrderDraft{MerchantID: o.GetMerchantId(), OutOrderNo: o.GetOutOrderNo(), Amount: amount, Title: o.GetTitle()}
		for j, item := range o.GetItems() {
			price, err := readAmount(fmt.Sprintf("orders[%d].items[%d].unit_price", i, j), item.GetUnitPrice())
			if err != nil {
				return domain.Draft{}, err
			}
			d.Orders[i].Items = append(d.Orders[i].Items, domain.Item{SKU: item.GetSku(), Name: item.GetName(), Quantity: item.GetQuantity(),
				UnitPrice: price})
		}
	}
	return d, nil
}

// readAmount is wire.Amount for a field of a request, which the refusal names.
func readAmount(field string, m *commonv1.Money) (money.Amount, error) {
	a, err := wire.Amount(m)
	var refused *errs.Error
	if errors.As(err, &refused) {
		return a, refused.With("field", field+".currency_code")
	}
	return a, err
}

func readOrderIDs(texts []string) ([]ids.ID, error) {
	out := make([]ids.ID, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = wire.ID(ids.Order, fmt.Sprintf("order_ids[%d]", i), text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// orderName is a request that names an order, by id or by number.
type orderName interface {
	GetOrderId() string
	GetMerchantId() string
	GetOutOrderNo() string
	GetOwner() string
}

// readOrderName reads which order is meant. Operators say in which marketplace a number is; the others mean their own.
func readOrderName(who caller.Caller, home string, req orderName) (app.OrderName, error) {
	owner := req.GetOwner()
	if who.Kind != caller.Admin {
		if owner != "" {
			return app.OrderName{}, errs.InvalidArgument.New("owner is for operators; leave it out, yours is meant").With("field", "owner")
		}
		owner = who.Owner
	}
	if owner == home {
		owner = ""
	}
	if req.GetOrderId() == "" {
		return app.OrderName{Number: app.OrderNumber{Owner: owner, MerchantID: req.GetMerchantId(), OutOrderNo: req.GetOutOrderNo()}}, nil
	}
	id, err := wire.ID(ids.Order, "order_id", req.GetOrderId())
	return app.OrderName{ID: id}, err
}

func orderResults(results []app.OrderResult) []*orderv1.OrderResult {
	out := make([]*orderv1.OrderResult, len(results))
	for i, r := range results {
		out[i] = &orderv1.OrderResult{OrderId: ids.Format(ids.Order, r.OrderID), State: orderv1.OrderState(r.State), Reason: wire.Reason(r.Reason),
			Message: r.Message}
	}
	return out
}

func brief(o domain.Order) *orderv1.OrderBrief {
	return &orderv1.OrderBrief{
		OrderId: ids.Format(ids.Order, o.ID), CheckoutId: ids.Format(ids.Checkout, o.CheckoutID), PaymentId: ids.Format(ids.Payment, o.PaymentID),
		MerchantId: o.MerchantID, OutOrderNo: o.OutOrderNo, UserId: o.UserID, Business: o.Business, State: orderv1.OrderState(o.State),
		Amount: wire.Money(o.Amount), PaidAmount: wire.Money(o.Paid), RefundedAmount: wire.Money(o.Refunded), Title: o.Title,
		CreateTime: wire.Time(o.CreateTime), ExpireTime: wire.Time(o.ExpireTime), PayTime: wire.Time(o.PayTime), ConfirmTime: wire.Time(o.ConfirmTime),
	}
}

func checkoutInfo(info app.CheckoutInfo) *orderv1.QueryCheckoutInfoResponse {
	c := info.Checkout
	out := &orderv1.QueryCheckoutInfoResponse{
		CheckoutId: ids.Format(ids.Checkout, c.ID), State: orderv1.CheckoutState(c.State), TotalAmount: wire.Money(c.Payable()),
		ExpireTime: wire.Time(c.ExpireTime), CreditUnavailableReason: wire.Reason(info.Quote.Reason), CheckoutProof: info.Proof,
	}
	for _, o := range c.Orders {
		out.Orders = append(out.Orders, brief(o))
	}
	if credit := info.Quote.Credit; credit != nil {
		out.Credit = &commonv1.CreditSummary{State: commonv1.CreditAccountState(credit.State), Limit: wire.Money(credit.Limit),
			Used: wire.Money(credit.Used), Held: wire.Money(credit.Held), Available: wire.Money(credit.Available)}
	}
	for _, p := range info.Quote.Plans {
		out.Plans = append(out.Plans, wire.Plan(p))
	}
	for _, a := range info.Actions {
		out.RequiredActions = append(out.RequiredActions, commonv1.RequiredAction(a))
	}
	return out
}

func detail(d app.Detail) *orderv1.OrderDetail {
	out := &orderv1.OrderDetail{Order: brief(d.Order), ContractIds: d.Contracts, RefundIds: d.Refunds, UnavailableParts: d.Unavailable}
	for _, i := range d.Items {
		out.Items = append(out.Items, &orderv1.OrderItem{Sku: i.SKU, Name: i.Name, Quantity: i.Quantity, UnitPrice: wire.Money(i.UnitPrice)})
	}
	for _, l := range d.Legs {
		out.Legs = append(out.Legs, &orderv1.PaymentLeg{Kind: l.Kind, Channel: l.Channel, Amount: wire.Money(l.Amount), State: l.State, Reference: l.Reference})
	}
	if d.Loan != nil {
		out.LoanId, out.LoanState, out.Plan = d.Loan.ID, d.Loan.State, wire.Plan(d.Loan.Plan)
	}
	for _, t := range d.Timeline {
		out.Timeline = append(out.Timeline, &commonv1.TimelineEntry{Time: wire.Time(t.Time), Service: t.Service, ObjectId: t.ObjectID,
			FromState: t.From, ToState: t.To, Actor: t.Actor, Cause: t.Cause})
	}
	return out
}
