// Package signing owns the walk of a payer to a signed contract, as the harnesses, the load test and the development stack need it:
// nobody buys without a signature.
//
// It must not reach behind the services' doors: codes come from the sandbox's directory, as a person reads them from a telephone.
package signing

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"

	"github.com/creditpay/creditpay/services/bill"
)

const (
	// Amount is what the checkout costs that is signed for, in rupiah: the least that the default products finance.
	Amount = 10_000
	// Name is that of every signer.
	Name = "Budi Santoso"
	// tenor is the plan that is signed for.
	tenor = 3
	// codeWait bounds how long a code may take to be sent.
	codeWait = 20 * time.Second
)

// PhoneOf is where a signer's codes go: one telephone a user, because codes to one telephone are bounded. All look alike when masked.
func PhoneOf(userID string) string {
	digest := fnv.New32a()
	_, _ = digest.Write([]byte(userID)) // A hash never fails.
	return fmt.Sprintf("+62812%06d123", digest.Sum32()%1_000_000)
}

// Desk is where payers sign.
type Desk struct {
	Order, Payment, Bill grpc.ClientConnInterface
	// SPMToken and AdminToken are the marketplace's and an operator's.
	SPMToken, AdminToken string
	// Codes is the sandbox's directory.
	Codes string
	// Product is whose contract is signed; empty for the preferred one.
	Product string
}

// ReadCode reads the newest code of a user from the sandbox's directory. It fails with fs.ErrNotExist when none was sent.
func ReadCode(dir, userID string) (bill.SandboxCode, error) {
	var c bill.SandboxCode
	if userID == "" || strings.ContainsAny(userID, `/\.`) {
		return c, fmt.Errorf("read a code: %q is no user id", userID)
	}
	text, err := os.ReadFile(filepath.Join(dir, userID+".json"))
	if err != nil {
		return c, fmt.Errorf("read a code: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read a code: %w", err)
	}
	return c, nil
}

// AwaitCode waits until the code of a challenge was sent, and gives it.
func AwaitCode(ctx context.Context, dir, userID, challengeID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, codeWait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := ReadCode(dir, userID)
		switch {
		case err == nil && c.ChallengeID == challengeID:
			return c.Code, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the code of %s for %s was not sent: %w", challengeID, userID, ctx.Err())
		case <-tick.C:
		}
	}
}

// Sign makes a user with a credit account, and no PIN yet, sign the contract of a product, and buys nothing: the commit
// after the signature is refused because of the missing PIN, and the checkout is cancelled. What the user may spend stays as it was.
func (d Desk) Sign(ctx context.Context, userID, payerToken string) error {
	if _, err := billv1.NewBillAdminServiceClient(d.Bill).SetSigningProfile(as(ctx, d.AdminToken), &billv1.SetSigningProfileRequest{
		RequestId: unique("profile"), UserId: userID, FullName: Name, Phone: PhoneOf(userID), Reason: "harness"}); err != nil {
		return fmt.Errorf("SetSigningProfile: %w", err)
	}
	checkout, err := d.checkout(ctx, userID)
	if err != nil {
		return err
	}
	quote, err := paymentv1.NewPaymentServiceClient(d.Payment).ConfirmPayChannel(as(ctx, payerToken), &paymentv1.ConfirmPayChannelRequest{
		RequestId: unique("quote"), CheckoutId: checkout.GetCheckoutId(), Channel: "CREDIT", TenorMonths: tenor, ProductCode: d.Product})
	if err != nil {
		return fmt.Errorf("ConfirmPayChannel: %w", err)
	}
	esign := billv1.NewEsignServiceClient(d.Bill)
	sent, err := esign.SendEsignCheck(as(ctx, payerToken), &billv1.SendEsignCheckRequest{RequestId: unique("code"), CheckoutId: checkout.GetCheckoutId()})
	if err != nil {
		return fmt.Errorf("SendEsignCheck: %w", err)
	}
	code, err := AwaitCode(ctx, d.Codes, userID, sent.GetChallengeId())
	if err != nil {
		return err
	}
	_, err = esign.CommitAfterEsign(as(ctx, payerToken), &billv1.CommitAfterEsignRequest{RequestId: unique("sign"), ChallengeId: sent.GetChallengeId(),
		Code: code, CheckoutId: checkout.GetCheckoutId(), QuoteId: quote.GetQuote().GetQuoteId(), Pin: "000000"})
	if !errs.Is(err, errs.PinNotSet) && !errs.Is(rpckit.FromStatus(err), errs.PinNotSet) {
		return fmt.Errorf("CommitAfterEsign before a PIN is set: %w", err)
	}
	if _, err := orderv1.NewOrderServiceClient(d.Order).CancelPayments(as(ctx, d.SPMToken), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"),
		OrderIds: []string{checkout.GetOrders()[0].GetOrderId()}, Reason: "signed, not bought"}); err != nil {
		return fmt.Errorf("CancelPayments: %w", err)
	}
	return nil
}

func (d Desk) checkout(ctx context.Context, userID string) (*orderv1.Checkout, error) {
	amount := &commonv1.Money{AmountMinor: new(int64(Amount)), CurrencyCode: "IDR"}
	res, err := orderv1.NewOrderServiceClient(d.Order).GeneratePayments(as(ctx, d.SPMToken), &orderv1.GeneratePaymentsRequest{
		RequestId: unique("gen"), UserId: userID, Business: "marketplace", CurrencyCode: "IDR", RedirectUrl: "https://shop.example/thanks",
		Orders: []*orderv1.OrderDraft{{MerchantId: "shop-1", OutOrderNo: unique("sign"), Title: "To sign for", Amount: amount,
			Items: []*orderv1.OrderItem{{Sku: "S", Name: "To sign for", Quantity: 1, UnitPrice: amount}}}}})
	if err != nil {
		return nil, fmt.Errorf("GeneratePayments: %w", err)
	}
	return res.GetCheckout(), nil
}

func unique(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:16]) }

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}
