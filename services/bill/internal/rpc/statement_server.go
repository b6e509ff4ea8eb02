package rpc

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// pageDefault is the size of a page of bills or entries when none is asked for.
const pageDefault = 20

// QueryBills implements BillService. A page token is the last bill of the page before, in base 64.
func (s *BillServer) QueryBills(ctx context.Context, req *billv1.QueryBillsRequest) (*billv1.QueryBillsResponse, error) {
	standing, err := s.App.StandingOf(ctx, caller.FromContext(ctx).UserID)
	if err != nil {
		return nil, err
	}
	before, err := readToken(req.GetPageToken(), func(key string) bool { _, err := ids.Parse(ids.Bill, key); return err == nil })
	if err != nil {
		return nil, err
	}
	resp := &billv1.QueryBillsResponse{CreditBalance: moneyOf(standing.Account.Credit)}
	limit := sizeOf(req.GetPageSize())
	for i := len(standing.Bills) - 1; i >= 0; i-- {
		b := standing.Bills[i]
		key := ids.Format(ids.Bill, b.ID)
		if (before != "" && key >= before) || (req.GetState() != 0 && req.GetState() != billv1.BillState(b.State)) {
			continue
		}
		if len(resp.Bills) == limit {
			resp.NextPageToken = writeToken(resp.Bills[limit-1].GetBillId())
			break
		}
		resp.Bills = append(resp.Bills, billOf(b))
	}
	return resp, nil
}

// QueryBusinessList implements BillService.
func (s *BillServer) QueryBusinessList(ctx context.Context, _ *billv1.QueryBusinessListRequest) (*billv1.QueryBusinessListResponse, error) {
	list, err := s.App.QueryBusinessList(ctx, caller.FromContext(ctx).UserID)
	if err != nil {
		return nil, err
	}
	resp := &billv1.QueryBusinessListResponse{}
	for _, b := range list {
		resp.Businesses = append(resp.Businesses, &billv1.BusinessLine{Code: b.Code, Name: titled(b.Code), EntryCount: b.Count, Amount: moneyOf(b.Amount)})
	}
	return resp, nil
}

// titled is a code as a name: "food_delivery" is "Food delivery".
func titled(code string) string {
	words := strings.ReplaceAll(code, "_", " ")
	first, size := utf8.DecodeRuneInString(words)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + words[size:]
}

// QueryBillTxnList implements BillService.
func (s *BillServer) QueryBillTxnList(ctx context.Context, req *billv1.QueryBillTxnListRequest) (*billv1.QueryBillTxnListResponse, error) {
	filter := app.EntryFilter{Business: req.GetBusiness(), State: req.GetState(), Limit: sizeOf(req.GetPageSize())}
	var err error
	if filter.Before, err = readToken(req.GetPageToken(), app.IsEntryKey); err != nil {
		return nil, err
	}
	if req.GetFromTime() != nil {
		filter.From = req.GetFromTime().AsTime()
	}
	if req.GetToTime() != nil {
		filter.To = req.GetToTime().AsTime()
	}
	if req.GetCycle() != "" {
		if filter.Cycle, err = civil.Parse(req.GetCycle() + "-01"); err != nil {
			return nil, invalid("cycle", err, "give a month as YYYY-MM")
		}
	}
	page, next, err := s.App.QueryBillTxnList(ctx, caller.FromContext(ctx).UserID, filter)
	if err != nil {
		return nil, err
	}
	resp := &billv1.QueryBillTxnListResponse{NextPageToken: writeToken(next)}
	for _, e := range page {
		resp.Entries = append(resp.Entries, entryOf(e))
	}
	return resp, nil
}

// QueryBillTxnDetail implements BillService.
func (s *BillServer) QueryBillTxnDetail(ctx context.Context, req *billv1.QueryBillTxnDetailRequest) (*billv1.QueryBillTxnDetailResponse, error) {
	var bill ids.ID
	if req.GetBillId() != "" {
		var err error
		if bill, err = parseID("bill_id", ids.Bill, req.GetBillId()); err != nil {
			return nil, err
		}
	}
	d, err := s.App.QueryBillTxnDetail(ctx, caller.FromContext(ctx).UserID, req.GetEntryId(), bill)
	if err != nil {
		return nil, err
	}
	resp := &billv1.QueryBillTxnDetailResponse{ContractIds: d.Contracts}
	for _, e := range d.Entries {
		resp.Entries = append(resp.Entries, entryOf(e))
	}
	for _, l := range d.Loans {
		resp.Loans = append(resp.Loans, standingLoanOf(l))
	}
	for _, r := range d.Repayments {
		resp.Repayments = append(resp.Repayments, allocatedOf(r.Repayment, r.Allocations))
	}
	return resp, nil
}

func sizeOf(asked int32) int {
	if asked <= 0 {
		return pageDefault
	}
	return int(asked)
}

// readToken gives the key in a token; empty for the first page. A key that no list gives out is refused.
func readToken(token string, isKey func(string) bool) (string, error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || (len(text) > 0 && !isKey(string(text))) {
		return "", errs.PageTokenInvalid.Wrap(err, "start from the first page")
	}
	return string(text), nil
}

func writeToken(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

func partsOf(p domain.Parts) *billv1.PartAmounts {
	out := &billv1.PartAmounts{Principal: moneyOf(p.Principal), Interest: moneyOf(p.Interest), Fee: moneyOf(p.Fee), LateFee: moneyOf(p.Late)}
	if total, err := p.Total(); err == nil { // Positions are checked: it always adds up.
		out.Total = moneyOf(total)
	}
	return out
}

func billOf(b app.UserBill) *billv1.Bill {
	return &billv1.Bill{
		BillId: ids.Format(ids.Bill, b.ID), BillDate: b.BillDate.String(), DueDate: b.DueDate.String(), State: billv1.BillState(b.State),
		Charged: partsOf(b.Charged), Open: partsOf(b.Open), Paid: partsOf(b.Paid), InstalmentCount: int32(len(b.Lines)),
		Cancelled: partsOf(b.Cancelled), GivenUp: partsOf(b.GivenUp),
	}
}

func entryOf(e app.Entry) *billv1.BillEntry {
	out := &billv1.BillEntry{EntryId: e.ID, Kind: billv1.BillEntryKind(e.Kind), Business: e.Business, Amount: moneyOf(e.Amount), Time: timeOf(e.Time), State: e.State}
	if !e.BillID.IsZero() {
		out.BillId = ids.Format(ids.Bill, e.BillID)
	}
	if !e.OrderID.IsZero() {
		out.OrderId = ids.Format(ids.Order, e.OrderID)
	}
	return out
}

// standingLoanOf is a loan with where its instalments stand today.
func standingLoanOf(l app.UserLoan) *billv1.Loan {
	out := loanOf(l.Loan)
	p := l.Position
	out.State, out.OutstandingPrincipal = billv1.LoanState(p.State), moneyOf(p.Open.Principal)
	out.Open, out.Overdue, out.DaysPastDue = partsOf(p.Open), moneyOf(p.Overdue), int32(p.DaysPastDue)
	for _, in := range p.Instalments {
		status := &billv1.InstalmentStatus{
			Sequence: int32(in.Sequence), BillDate: in.BillDate.String(), DueDate: in.DueDate.String(), State: in.State.String(),
			Charged: partsOf(in.Charged), Open: partsOf(in.Open), Paid: partsOf(in.Paid), Cancelled: partsOf(in.Cancelled),
		}
		if up, err := in.WrittenOff.Add(in.Recovered); err == nil { // Positions are checked: it always adds up.
			status.GivenUp = partsOf(up)
		}
		if p.OnBill(in) {
			status.BillId = ids.Format(ids.Bill, app.BillID(l.UserID, domain.BillName{BillDate: in.BillDate, DueDate: in.DueDate}))
		}
		out.Instalments = append(out.Instalments, status)
	}
	return out
}
