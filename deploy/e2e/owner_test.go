package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// market is a marketplace with one of each thing that its callers can name. Two of them have the same shop, the same order numbers and
// the same bare name of a user.
type market struct {
	s         *stack
	owner     string
	spm, shop string // tokens
	p         *payer
	// paid is an order that is paid by credit, open one that is not paid, awaiting one whose down payment is awaited under leg.
	paid, open, awaiting *orderv1.OrderBrief
	leg                  *paymentv1.CashLeg
	refundID             string
}

// numbers are the order numbers that both marketplaces use.
type numbers struct{ user, paid, open, awaiting string }

func (s *stack) market(t *testing.T, owner, business string, n numbers) *market {
	t.Helper()
	m := &market{s: s, owner: owner, spm: s.Credentials.SPMToken}
	if owner != "" {
		m.spm = s.mint(t, caller.Caller{Kind: caller.SPM, Name: owner, Owner: owner})
	}
	m.shop = s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: "shop-1", Owner: owner})
	m.p = &payer{s: s, id: caller.QualifiedUserID(owner, n.user), market: m.spm}
	m.p.token = s.mint(t, caller.Caller{Kind: caller.H5, Name: "h5", UserID: m.p.id, Owner: owner, FactorTime: time.Now().Unix()})
	m.p.ready(t, 10_000_000)

	c := m.numbered(t, n.paid)
	m.p.pay(t, c.GetCheckoutId())
	m.paid = m.brief(t, c)
	m.p.awaitOrder(t, m.paid.GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
	m.open = m.brief(t, m.numbered(t, n.open))
	waits, quoteID := m.p.furniture(t, business, 1_000_000)
	m.leg = m.p.commitAndGo(t, commitCall{checkoutID: waits.GetCheckoutId(), quoteID: quoteID})
	m.awaiting = m.brief(t, waits)
	res, err := refundv1.NewRefundServiceClient(s.conn).RefundPayment(m.p.spm(t), &refundv1.RefundPaymentRequest{RequestId: unique("refund"),
		OrderId: m.paid.GetOrderId(), Amount: rupiah(1_000), Reason: "sent back", OutRefundNo: "no-0"})
	if err != nil {
		t.Fatalf("RefundPayment: %v", told(err))
	}
	m.refundID = res.GetRefund().GetRefundId()
	return m
}

func (m *market) numbered(t *testing.T, number string) *orderv1.Checkout {
	t.Helper()
	req := m.p.draft(100_000)
	req.Orders[0].OutOrderNo = number
	return m.p.generate(t, req)
}

func (m *market) brief(t *testing.T, c *orderv1.Checkout) *orderv1.OrderBrief {
	t.Helper()
	res, err := orderv1.NewOrderServiceClient(m.s.conn).GetOrderInfo(m.p.spm(t), &orderv1.GetOrderInfoRequest{OrderId: c.GetOrders()[0].GetOrderId()})
	if err != nil {
		t.Fatalf("GetOrderInfo: %v", told(err))
	}
	return res.GetOrder()
}

// ownerCase calls an RPC about what belongs to a marketplace, as whoever ctx is, and reports whether it was found and done.
type ownerCase func(ctx context.Context, m *market) (bool, error)

// done reports whether an order was found.
func done(results []*orderv1.OrderResult, err error) (bool, error) {
	return err == nil && len(results) == 1 && results[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_NOT_FOUND, err
}

// ownerCases are all RPCs that a marketplace or a shop may call, in an order in which what one changes does not hinder the next.
func ownerCases() []struct {
	method string
	call   ownerCase
} {
	type cases = []struct {
		method string
		call   ownerCase
	}
	return append(cases{
		{notificationv1.NotificationService_ListEvents_FullMethodName, findsEvents},
		{billv1.BillService_QueryUserInstalmentInfo_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := billv1.NewBillServiceClient(m.s.conn).QueryUserInstalmentInfo(ctx, &billv1.QueryUserInstalmentInfoRequest{UserId: m.p.id,
				Amount: rupiah(100_000), Business: "marketplace"})
			return res.GetCredit() != nil, err
		}},
		{billv1.EsignService_BatchQueryContractByOrderId_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := billv1.NewEsignServiceClient(m.s.conn).BatchQueryContractByOrderId(ctx, &billv1.BatchQueryContractByOrderIdRequest{
				OrderIds: []string{m.paid.GetOrderId()}})
			return len(res.GetContracts()) > 0, err
		}},
		{paymentv1.PaymentService_QueryDownPayResult_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := paymentv1.NewPaymentServiceClient(m.s.conn).QueryDownPayResult(ctx, &paymentv1.QueryDownPayResultRequest{OrderId: m.awaiting.GetOrderId()})
			return res.GetLeg() != nil, err
		}},
		{paymentv1.PaymentService_NotifyPaymentStatus_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			_, err := paymentv1.NewPaymentServiceClient(m.s.conn).NotifyPaymentStatus(ctx, notice(m.leg, paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID))
			return err == nil, err
		}},
	}, append(orderCases(), refundCases()...)...)
}

func orderCases() []struct {
	method string
	call   ownerCase
} {
	return []struct {
		method string
		call   ownerCase
	}{
		{orderv1.OrderService_GetOrderInfo_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := orderv1.NewOrderServiceClient(m.s.conn).GetOrderInfo(ctx, &orderv1.GetOrderInfoRequest{OrderId: m.paid.GetOrderId()})
			if err != nil {
				return false, err
			}
			// By number each finds its own of that number, and never the other's.
			byNumber, err := orderv1.NewOrderServiceClient(m.s.conn).GetOrderInfo(ctx,
				&orderv1.GetOrderInfoRequest{MerchantId: m.paid.GetMerchantId(), OutOrderNo: m.paid.GetOutOrderNo()})
			return res.GetOrder() != nil && byNumber.GetOrder().GetOrderId() == m.paid.GetOrderId(), err
		}},
		{orderv1.OrderService_GetOrderDetail_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := orderv1.NewOrderServiceClient(m.s.conn).GetOrderDetail(ctx, &orderv1.GetOrderDetailRequest{OrderId: m.paid.GetOrderId()})
			return res.GetDetail() != nil, err
		}},
		{orderv1.OrderService_GeneratePayments_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := orderv1.NewOrderServiceClient(m.s.conn).GeneratePayments(ctx, m.p.draft(50_000))
			return res.GetCheckout() != nil, err
		}},
		{orderv1.OrderService_CancelPayments_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			client := orderv1.NewOrderServiceClient(m.s.conn)
			res, err := client.CancelPayments(ctx, &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), OrderIds: []string{m.open.GetOrderId()}, Reason: "no"})
			if found, err := done(res.GetResults(), err); err != nil || found {
				return found, err
			}
			res, err = client.CancelPayments(ctx, &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), CheckoutId: m.open.GetCheckoutId(), Reason: "no"})
			return done(res.GetResults(), err)
		}},
		{orderv1.OrderService_ConfirmPayment_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := orderv1.NewOrderServiceClient(m.s.conn).ConfirmPayment(ctx, &orderv1.ConfirmPaymentRequest{RequestId: unique("confirm"),
				OrderIds: []string{m.paid.GetOrderId()}})
			return done(res.GetResults(), err)
		}},
	}
}

func refundCases() []struct {
	method string
	call   ownerCase
} {
	return []struct {
		method string
		call   ownerCase
	}{
		{refundv1.RefundService_PreviewRefund_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := refundv1.NewRefundServiceClient(m.s.conn).PreviewRefund(ctx, &refundv1.PreviewRefundRequest{OrderId: m.paid.GetOrderId(), Amount: rupiah(500)})
			return res.GetEffect() != nil, err
		}},
		{refundv1.RefundService_RefundPayment_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := refundv1.NewRefundServiceClient(m.s.conn).RefundPayment(ctx, &refundv1.RefundPaymentRequest{RequestId: unique("refund"),
				OrderId: m.paid.GetOrderId(), Amount: rupiah(500), Reason: "sent back", OutRefundNo: unique("no")})
			return res.GetRefund() != nil, err
		}},
		{refundv1.RefundService_GetRefund_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			res, err := refundv1.NewRefundServiceClient(m.s.conn).GetRefund(ctx, &refundv1.GetRefundRequest{RefundId: m.refundID})
			return res.GetRefund() != nil, err
		}},
		{refundv1.RefundService_ListRefunds_FullMethodName, func(ctx context.Context, m *market) (bool, error) {
			client := refundv1.NewRefundServiceClient(m.s.conn)
			all, err := client.ListRefunds(ctx, &refundv1.ListRefundsRequest{PageSize: 100})
			if err != nil {
				return false, err
			}
			one, err := client.ListRefunds(ctx, &refundv1.ListRefundsRequest{OrderId: m.paid.GetOrderId()})
			return len(one.GetRefunds()) > 0 || slices.ContainsFunc(all.GetRefunds(), func(r *refundv1.Refund) bool { return r.GetRefundId() == m.refundID }), err
		}},
	}
}

// findsEvents reads the whole feed and looks for an order of the marketplace.
func findsEvents(ctx context.Context, m *market) (bool, error) {
	client := notificationv1.NewNotificationServiceClient(m.s.conn)
	for after := ""; ; {
		res, err := client.ListEvents(ctx, &notificationv1.ListEventsRequest{After: after, PageSize: 500})
		if err != nil {
			return false, err
		}
		for _, e := range res.GetEvents() {
			if strings.Contains(e.GetBody(), m.paid.GetOrderId()) || strings.Contains(e.GetBody(), m.refundID) || strings.Contains(e.GetBody(), m.leg.GetReference()) {
				return true, nil
			}
		}
		if len(res.GetEvents()) == 0 {
			return false, nil
		}
		after = res.GetNextAfter()
	}
}

// marketMethods are the RPCs of a contract that a marketplace or a shop may call, with the kinds.
func marketMethods(files *protoregistry.Files) map[string][]caller.Kind {
	out := map[string][]caller.Kind{}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				rule, _ := proto.GetExtension(m.Options(), commonv1.E_Access).(*commonv1.AccessRule)
				for _, k := range rule.GetCallers() {
					if kind := caller.KindOf(k); kind == caller.SPM || kind == caller.Merchant {
						name := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
						out[name] = append(out[name], kind)
					}
				}
			}
		}
		return true
	})
	return out
}

// withoutCase are RPCs of a contract that no case calls.
func withoutCase(files *protoregistry.Files) (missing []string) {
	for _, method := range slices.Sorted(maps.Keys(marketMethods(files))) {
		has := false
		for _, c := range ownerCases() {
			has = has || c.method == method
		}
		if !has {
			missing = append(missing, method)
		}
	}
	return missing
}

// An RPC that marketplaces or shops may call and that has no case is found in a copy of the contract.
func TestOwner_FindsAnRPCWithoutACase(t *testing.T) {
	t.Parallel()
	set := &descriptorpb.FileDescriptorSet{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		p := protodesc.ToFileDescriptorProto(f)
		if f.Path() == "creditpay/refund/v1/refund_service.proto" {
			for _, m := range p.GetService()[0].GetMethod() {
				if m.GetName() == "GetRefund" {
					more := proto.CloneOf(m)
					more.Name = proto.String("GetRefundOnceMore")
					p.GetService()[0].Method = append(p.GetService()[0].Method, more)
					break
				}
			}
		}
		set.File = append(set.File, p)
		return true
	})
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	if missing := withoutCase(files); !slices.Equal(missing, []string{"/creditpay.refund.v1.RefundService/GetRefundOnceMore"}) {
		t.Errorf("RPCs without a case: %v, want the new one", missing)
	}
}

// Two marketplaces with the same shop, numbers and names of users: none of the RPCs that they and their shops may call finds anything of
// the other's, and each does what is its own.
func TestOwner_MarketplacesAreApart(t *testing.T) {
	t.Parallel()
	s := alone(t)
	if missing := withoutCase(protoregistry.GlobalFiles); len(missing) > 0 {
		t.Fatalf("write a case for %v in ownerCases", missing)
	}
	business, n := s.sellFurniture(t), numbers{unique("same"), unique("no"), unique("no"), unique("no")}
	home, beta := s.market(t, "", business, n), s.market(t, "beta", business, n)
	heardHome, heardBeta := newShop(t, 200), newShop(t, 200)
	s.subscribe(t, "", heardHome.URL)
	s.subscribeIn(t, "beta", "", heardBeta.URL)
	s.advance(t, time.Minute) // What happened is in the feed.
	methods := marketMethods(protoregistry.GlobalFiles)
	for _, own := range []bool{false, true} {
		for _, c := range ownerCases() {
			for _, kind := range methods[c.method] {
				for _, pair := range [][2]*market{{home, beta}, {beta, home}} {
					who, of := pair[0], pair[1]
					if own {
						of = who
					}
					token := who.spm
					if kind == caller.Merchant {
						token = who.shop
					}
					found, err := c.call(as(t.Context(), token), of)
					switch reason := reasonOf(t, told(err)); {
					case own && (!found || err != nil):
						t.Errorf("%s of %q calls %s about its own: found %v, %v", kind, who.owner, c.method, found, told(err))
					case !own && found:
						t.Errorf("%s of %q calls %s about the other's and finds it", kind, who.owner, c.method)
					case !own && err != nil && reason != errs.NotFound.Name() && reason != errs.InvalidArgument.Name():
						t.Errorf("%s of %q calls %s about the other's: %v, want NOT_FOUND", kind, who.owner, c.method, told(err))
					}
				}
			}
		}
		if !own {
			for _, m := range []*market{home, beta} {
				m.wantStates(t, orderv1.OrderState_ORDER_STATE_PAID, orderv1.OrderState_ORDER_STATE_CREATED, orderv1.OrderState_ORDER_STATE_COMMITTING)
			}
		}
	}
	for _, m := range []*market{home, beta} {
		m.wantStates(t, orderv1.OrderState_ORDER_STATE_CONFIRMED, orderv1.OrderState_ORDER_STATE_CANCELLED, orderv1.OrderState_ORDER_STATE_PAID)
	}
	s.operatorsFind(t, home, beta)
	s.wantHeard(t, heardHome, home, beta)
	s.wantHeard(t, heardBeta, beta, home)
	s.proveBooks(t)
}

// operatorsFind reads accounts and orders of both marketplaces as an operator, and the payer of each the other's order.
func (s *stack) operatorsFind(t *testing.T, home, beta *market) {
	t.Helper()
	byNumber := "/admin/v1/merchants/shop-1/orders/" + home.paid.GetOutOrderNo()
	for path, want := range map[string]*market{byNumber: home, byNumber + "?owner=marketplace": home, byNumber + "?owner=beta": beta} {
		var res orderv1.GetOrderInfoResponse
		if err := s.rest(t.Context(), http.MethodGet, path, s.Credentials.AdminToken, nil, &res); err != nil || res.GetOrder().GetOrderId() != want.paid.GetOrderId() {
			t.Errorf("GET %s: %v, %v, want the order of %q", path, &res, err, want.owner)
		}
	}
	for _, m := range []*market{home, beta} {
		var res billv1.GetCreditAccountResponse
		if err := s.rest(t.Context(), http.MethodGet, "/admin/v1/credit-accounts/"+m.p.id, s.Credentials.AdminToken, nil, &res); err != nil || res.GetAccount().GetUserId() != m.p.id {
			t.Errorf("the account of %s: %v, %v", m.p.id, &res, err)
		}
	}
	_, err := orderv1.NewOrderServiceClient(s.conn).GetOrderInfo(as(t.Context(), beta.spm), &orderv1.GetOrderInfoRequest{MerchantId: "shop-1",
		OutOrderNo: home.paid.GetOutOrderNo(), Owner: "marketplace"})
	wantReason(t, told(err), errs.InvalidArgument)
	for _, pair := range [][2]*market{{home, beta}, {beta, home}} {
		err := pair[0].p.call(t.Context(), http.MethodGet, "/h5/v1/orders/"+pair[1].paid.GetOrderId(), nil, &orderv1.GetOrderInfoResponse{})
		wantReason(t, err, errs.NotFound)
	}
}

// wantStates wants the orders of the marketplace in these states.
func (m *market) wantStates(t *testing.T, paid, open, awaiting orderv1.OrderState) {
	t.Helper()
	for brief, want := range map[*orderv1.OrderBrief]orderv1.OrderState{m.paid: paid, m.open: open, m.awaiting: awaiting} {
		if got := m.p.detail(t, brief.GetOrderId()).GetOrder().GetState(); got != want {
			m.p.awaitOrder(t, brief.GetOrderId(), want)
		}
	}
}

// wantHeard wants a receiver to have heard of one marketplace's order, and of nothing of the other's.
func (s *stack) wantHeard(t *testing.T, receiver *shop, of, other *market) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		if len(receiver.about(t, "order.confirmed", of.paid.GetOrderId())) == 0 {
			return fmt.Errorf("the receiver of %q has not heard of its order", of.owner)
		}
		return nil
	})
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	for _, h := range receiver.all {
		for _, id := range []string{other.paid.GetOrderId(), other.open.GetOrderId(), other.awaiting.GetOrderId(), other.refundID, other.leg.GetReference(), other.p.id} {
			if strings.Contains(h.body, `"`+id+`"`) {
				t.Errorf("the receiver of %q hears of %s of %q: %s", of.owner, id, other.owner, h.body)
			}
		}
	}
}
