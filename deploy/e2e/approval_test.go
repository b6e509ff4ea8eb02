package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/deploy/signing"
)

const (
	pendingApproval = commonv1.ApprovalState_APPROVAL_STATE_PENDING_APPROVAL
	carriedOut      = commonv1.ApprovalState_APPROVAL_STATE_CARRIED_OUT
)

// operator makes a token of an operator with every role.
func (s *stack) operator(t testing.TB, name string) string {
	t.Helper()
	return s.mint(t, caller.Caller{Kind: caller.Admin, Name: name, Roles: caller.EveryRole()})
}

func (s *stack) operatorRefund(t testing.TB, token, orderID string, amount int64) *refundv1.Refund {
	t.Helper()
	var res refundv1.AdminRefundPaymentResponse
	body := map[string]any{"requestId": unique("ask"), "orderId": orderID, "amount": map[string]any{"amountMinor": amount, "currencyCode": "IDR"},
		"reason": "e2e", "reasonCode": "REFUND_REASON_CODE_OTHER"}
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds", token, body, &res); err != nil {
		t.Fatal(err)
	}
	return res.GetRefund()
}

// decide approves or rejects a request of a service over REST.
func (s *stack) decide(t testing.TB, service, verb, token, id string) (*commonv1.Approval, error) {
	t.Helper()
	var res billv1.ApproveRequestResponse // The three services answer alike.
	err := s.rest(t.Context(), http.MethodPost, "/admin/v1/"+service+"/approvals/"+id+"/"+verb, token,
		map[string]any{"requestId": unique("decide"), "comment": "seen"}, &res)
	return res.GetApproval(), err
}

// The attacks on four eyes, over the wire: each needs more people, or more time, than the attacker has. The stack's clock moves.
func TestApproval_AttacksOnFourEyes(t *testing.T) {
	t.Parallel()
	s := alone(t)
	for _, step := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"a tier without approvals is refused", func(t *testing.T) { tierWithoutApprovals(t, s) }},
		{"tiers to zero, a refund, tiers back", func(t *testing.T) { tiersToZeroAndBack(t, s) }},
		{"ten orders of one checkout", func(t *testing.T) { tenOrdersOfOneCheckout(t, s) }},
		{"ALICE approves alice", func(t *testing.T) { oneNameTwice(t, s) }},
		{"fifty approvals at once", func(t *testing.T) { fiftyApprovals(t, s) }},
		{"another telephone for a signer", func(t *testing.T) { anotherTelephone(t, s) }},
		{"the command line", func(t *testing.T) { approvalCommands(t, s) }},
		{"nobody approves in time", func(t *testing.T) { nobodyApproves(t, s) }},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
	s.proveBooks(t)
}

func tierWithoutApprovals(t *testing.T, s *stack) {
	tier := map[string]any{"from": map[string]any{"amountMinor": 1, "currencyCode": "IDR"}}
	for path, verb := range map[string]string{"/admin/v1/approval-tiers": "", "/admin/v1/bill/approval-tiers": "WriteOffLoan", "/admin/v1/payment/approval-tiers": "ResolveCancelReturn"} {
		body := map[string]any{"requestId": unique("tiers"), "currencyCode": "IDR", "reason": "e2e", "tiers": []any{tier}}
		if verb != "" {
			body["verb"] = verb
		}
		err := s.rest(t.Context(), http.MethodPost, path, s.Credentials.AdminToken, body, &refundv1.SetApprovalTiersResponse{})
		if wantReason(t, err, errs.InvalidArgument); !strings.Contains(err.Error(), "approvals") {
			t.Errorf("%s does not name the field: %v", path, err)
		}
	}
}

func tiersToZeroAndBack(t *testing.T, s *stack) {
	p := s.payer(t, 100_000_000)
	orderID := p.buys(t, 45_000_000)
	eve, mallory := s.operator(t, "eve"), s.operator(t, "mallory")
	zero := map[string]any{"from": map[string]any{"amountMinor": 1, "currencyCode": "IDR"}, "approvals": 0}
	var set refundv1.SetApprovalTiersResponse
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/approval-tiers", eve,
		map[string]any{"requestId": unique("tiers"), "currencyCode": "IDR", "reason": "e2e", "tiers": []any{zero}}, &set); err != nil {
		t.Fatal(err)
	}
	id := set.GetApproval().GetApprovalId()
	if len(set.GetTiers()) != 3 || set.GetApproval().GetState() != pendingApproval {
		t.Errorf("asked for: %v", &set)
	}
	_, err := s.decide(t, "refund", "approve", eve, id)
	wantReason(t, err, errs.ApproverIsRequester)
	approver := s.mint(t, caller.Caller{Kind: caller.Admin, Name: "approves-refunds", Roles: caller.RolesOf(caller.RefundApprove)})
	_, err = s.decide(t, "refund", "approve", approver, id)
	wantReason(t, err, errs.CallerNotAllowed)
	if r := s.operatorRefund(t, eve, orderID, 10_000_000); r.GetApprovalsNeeded() != 2 {
		t.Errorf("a refund of 10,000,000 while nobody approved the change needs %d", r.GetApprovalsNeeded())
	}
	got, err := s.decide(t, "refund", "approve", mallory, id)
	if err != nil || got.GetState() != carriedOut || got.GetRule().GetEffectiveTime().AsTime().Before(s.now(t).Add(23*time.Hour)) {
		t.Fatalf("approved: %v, %v", got, err)
	}
	if r := s.operatorRefund(t, eve, orderID, 30_000_000); r.GetApprovalsNeeded() != 2 {
		t.Errorf("a refund of 30,000,000 on the day of the change needs %d", r.GetApprovalsNeeded())
	}
	var log refundv1.ListApprovalTiersResponse
	if err := s.rest(t.Context(), http.MethodGet, "/admin/v1/approval-tiers", s.Credentials.AdminToken, nil, &log); err != nil {
		t.Fatal(err)
	}
	if c := log.GetRuleChanges()[0]; c.GetRequester() != "ADMIN:eve" || c.GetVotes()[0].GetApprover() != "ADMIN:mallory" || c.GetRule().GetEffectiveTime() == nil || len(log.GetTiers()) != 3 {
		t.Errorf("the log shows %v", &log)
	}
	if got, err = s.decide(t, "refund", "reject", s.operator(t, "carol"), id); err != nil || got.GetState() != commonv1.ApprovalState_APPROVAL_STATE_CANCELLED {
		t.Fatalf("taken back: %v, %v", got, err)
	}
	s.advance(t, 25*time.Hour)
	if r := s.operatorRefund(t, s.operator(t, "frank"), orderID, 5_000_000); r.GetApprovalsNeeded() != 2 {
		t.Errorf("after a change that was taken back a refund of 5,000,000 needs %d", r.GetApprovalsNeeded())
	}
}

func tenOrdersOfOneCheckout(t *testing.T, s *stack) {
	amounts := make([]int64, 10)
	for i := range amounts {
		amounts[i] = 90_000
	}
	p := s.payer(t, 10_000_000)
	c := p.checkout(t, amounts...)
	p.pay(t, c.GetCheckoutId())
	byNeed := map[int32]int{}
	for i, o := range c.GetOrders() {
		p.awaitOrder(t, o.GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
		byNeed[s.operatorRefund(t, s.operator(t, fmt.Sprint("clerk-", i)), o.GetOrderId(), 90_000).GetApprovalsNeeded()]++
	}
	if byNeed[0] != 1 || byNeed[1] != 9 {
		t.Errorf("ten refunds of 90,000 by how many must approve them: %v", byNeed)
	}
}

func oneNameTwice(t *testing.T, s *stack) {
	p := s.payer(t, 10_000_000)
	r := s.operatorRefund(t, s.operator(t, "alice"), p.buys(t, 600_000), 600_000)
	for who, want := range map[string]string{"ALICE": errs.ApproverIsRequester.Name(), "Alice": errs.ApproverIsRequester.Name(), "bob": ""} {
		var res refundv1.ApproveRefundResponse
		if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds:approve", s.operator(t, who),
			map[string]any{"requestId": unique("approve"), "refundIds": []string{r.GetRefundId()}}, &res); err != nil {
			t.Fatal(err)
		}
		if got := res.GetResults()[0].GetReason(); got != want && got != errs.RefundStateInvalid.Name() {
			t.Errorf("%s: %q, want %q", who, got, want)
		}
	}
	s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
}

// runningLoan buys and confirms, and returns the loan's id.
func (p *payer) runningLoan(t testing.TB, amount int64) string {
	t.Helper()
	orderID := p.buys(t, amount)
	p.s.confirm(t, orderID)
	return p.awaitLoan(t, orderID, "ACTIVE").GetLoanId()
}

func (s *stack) writeOff(t testing.TB, token, loanID string) (*billv1.WriteOffLoanResponse, error) {
	t.Helper()
	res := &billv1.WriteOffLoanResponse{}
	err := s.rest(t.Context(), http.MethodPost, "/admin/v1/loans/"+loanID+"/write-off", token, map[string]any{"requestId": unique("give-up"), "reason": "e2e"}, res)
	return res, err
}

func fiftyApprovals(t *testing.T, s *stack) {
	p := s.payer(t, 100_000_000)
	alice := s.operator(t, "alice")
	loanID := p.runningLoan(t, 49_900_000) // What is owed of it, fees included, is above 50,000,000.
	res, err := s.writeOff(t, alice, loanID)
	if err != nil || res.GetApproval().GetState() != pendingApproval || res.GetApproval().GetApprovalsNeeded() != 2 || res.GetLoan().GetState() != billv1.LoanState_LOAN_STATE_ACTIVE {
		t.Fatalf("asked for: %v, %v", res, err)
	}
	id := res.GetApproval().GetApprovalId()
	_, err = s.writeOff(t, s.operator(t, "bob"), loanID)
	wantReason(t, err, errs.ApprovalPending)
	tokens := make([]string, 50)
	for i := range tokens {
		tokens[i] = s.operator(t, fmt.Sprint("approver-", i/2))
	}
	tokens[7], tokens[8] = alice, s.operator(t, "ALICE")
	var votes atomic.Int32
	var group sync.WaitGroup
	for _, token := range tokens {
		group.Go(func() {
			_, err := s.decide(t, "bill", "approve", token, id)
			if err == nil {
				votes.Add(1)
			} else {
				if got := reasonOf(t, err); got != errs.ApproverIsRequester.Name() && got != errs.AlreadyApproved.Name() && got != errs.ApprovalStateInvalid.Name() && got != errs.ConcurrentChange.Name() {
					t.Errorf("%v", err)
				}
			}
		})
	}
	group.Wait()
	var got billv1.GetApprovalResponse
	if err := s.rest(t.Context(), http.MethodGet, "/admin/v1/bill/approvals/"+id, s.Credentials.AdminToken, nil, &got); err != nil {
		t.Fatal(err)
	}
	if a := got.GetApproval(); votes.Load() != 2 || a.GetApprovalsGiven() != 2 || a.GetState() != carriedOut {
		t.Errorf("%d were told that they approved: %v", votes.Load(), a)
	}
	testkit.Eventually(t, 10*time.Second, func() error {
		if _, err := s.writeOff(t, alice, loanID); reasonOf(t, err) != errs.LoanStateInvalid.Name() {
			return fmt.Errorf("given up twice: %w", err)
		}
		return nil
	})
	s.proveBooks(t)
}

func anotherTelephone(t *testing.T, s *stack) {
	p := s.payer(t, 1_000_000)
	set := func(phone string) *billv1.SetSigningProfileResponse {
		t.Helper()
		res := &billv1.SetSigningProfileResponse{}
		if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/credit-accounts/"+p.id+"/signing-profile", s.operator(t, "alice"),
			map[string]any{"requestId": unique("profile"), "fullName": signing.Name, "phone": phone, "reason": "e2e"}, res); err != nil {
			t.Fatal(err)
		}
		return res
	}
	first := set(signing.PhoneOf(p.id))
	if first.GetApproval() != nil {
		t.Fatalf("the first number: %v", first)
	}
	if same := set(signing.PhoneOf(p.id)); same.GetApproval() != nil {
		t.Errorf("the same number again: %v", same)
	}
	other := set("+6281299990000")
	if other.GetApproval().GetState() != pendingApproval || other.GetMaskedTarget() != first.GetMaskedTarget() || strings.Contains(other.String(), "81299990000") {
		t.Fatalf("another number: %v", other)
	}
	got, err := s.decide(t, "bill", "approve", s.Credentials.ApproverToken, other.GetApproval().GetApprovalId())
	if err != nil || got.GetState() != carriedOut {
		t.Fatalf("%v, %v", got, err)
	}
	if now := set("+6281299990000"); now.GetApproval() != nil || now.GetMaskedTarget() == first.GetMaskedTarget() {
		t.Errorf("after the approval: %v", now)
	}
}

func approvalCommands(t *testing.T, s *stack) {
	p := s.payer(t, 10_000_000)
	res, err := s.writeOff(t, s.Credentials.AdminToken, p.runningLoan(t, 2_000_000))
	if err != nil {
		t.Fatal(err)
	}
	id := res.GetApproval().GetApprovalId()
	if out := s.does(t, "approval", "list", "--verb", "WriteOffLoan"); !strings.Contains(out, id) || !strings.Contains(out, "approved by 0 of 1") {
		t.Errorf("approval list prints %q", out)
	}
	if out, err := s.creditctl(t, "approval", "approve", id); err == nil || !strings.Contains(err.Error(), "APPROVER_IS_REQUESTER") {
		t.Errorf("who asked approved: %q, %v", out, err)
	}
	if out := s.does(t, "--as", "approver_token", "approval", "approve", id, "--comment", "seen it"); !strings.Contains(out, "CARRIED_OUT") {
		t.Errorf("approval approve prints %q", out)
	}
	if out := s.does(t, "approval", "show", id); !strings.Contains(out, "ADMIN:dev-approver: seen it") {
		t.Errorf("approval show prints %q", out)
	}
	out := s.does(t, "approval", "set-tiers", "bill", "WaiveFee", "1=1", "1000001=2", "--reason", "stricter")
	change, _, _ := strings.Cut(out, " ")
	if !strings.Contains(out, "WaiveFee in IDR, not in force") {
		t.Errorf("approval set-tiers prints %q", out)
	}
	if out := s.does(t, "--as", "second_approver_token", "approval", "reject", change, "--comment", "no"); !strings.Contains(out, "REJECTED") {
		t.Errorf("approval reject prints %q", out)
	}
	if out := s.does(t, "approval", "tiers"); !strings.Contains(out, "PayOutCreditBalance in IDR, in force from") || !strings.Contains(out, change) {
		t.Errorf("approval tiers prints %q", out)
	}
	for _, wrong := range [][]string{{"set-tiers", "bill", "WaiveFee", "1", "--reason", "r"}, {"set-tiers", "bill", "WaiveFee", "x=1", "--reason", "r"}, {"set-tiers", "order", "X", "1=1", "--reason", "r"},
		{"list", "--approval-state", "x"}, {"show", "apr_x"}} {
		if out, err := s.creditctl(t, append([]string{"approval"}, wrong...)...); err == nil {
			t.Errorf("approval %v prints %q", wrong, out)
		}
	}
}

func nobodyApproves(t *testing.T, s *stack) {
	p := s.payer(t, 10_000_000)
	res, err := s.writeOff(t, s.operator(t, "alice"), p.runningLoan(t, 3_000_000))
	if err != nil {
		t.Fatal(err)
	}
	id := res.GetApproval().GetApprovalId()
	s.advance(t, 7*24*time.Hour+time.Minute)
	testkit.Eventually(t, 20*time.Second, func() error {
		var got billv1.GetApprovalResponse
		err := s.rest(t.Context(), http.MethodGet, "/admin/v1/bill/approvals/"+id, s.Credentials.AdminToken, nil, &got)
		if err == nil && got.GetApproval().GetState() != commonv1.ApprovalState_APPROVAL_STATE_EXPIRED {
			err = fmt.Errorf("the request is %s", got.GetApproval().GetState())
		}
		return err
	})
	_, err = s.decide(t, "bill", "approve", s.Credentials.ApproverToken, id)
	wantReason(t, err, errs.ApprovalStateInvalid)
}
