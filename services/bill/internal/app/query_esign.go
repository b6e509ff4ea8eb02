package app

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// EsignStatus is what stands between a payer and a signature.
type EsignStatus struct {
	// Signed says that the plan's contract is signed, or that it needs none.
	Signed bool
	// ContractVersion is the text that the plan needs; empty when it needs none or no plan was chosen.
	ContractVersion string
	// Missing is what must be done before the contract can be signed, in words.
	Missing []string
}

// PreEsignCheck tells whether the contract of the plan that is locked for a checkout is signed. Errors: errs.NotFound.
func (a *App) PreEsignCheck(ctx context.Context, userID string, checkoutID ids.ID) (EsignStatus, error) {
	if err := a.esign.available(); err != nil {
		return EsignStatus{}, err
	}
	var s EsignStatus
	quote, err := a.esign.Payments.LockedQuote(ctx, userID, checkoutID)
	switch {
	case errs.Is(err, errs.QuoteNotFound):
		s.Missing = append(s.Missing, "a plan: choose one with ConfirmPayChannel")
	case err != nil:
		return s, err
	default:
		product, err := a.products.version(ctx, a.store, quote.Plan.ProductCode, quote.Plan.ProductVersion)
		if err != nil {
			return s, err
		}
		if s.ContractVersion = product.ContractVersion; s.ContractVersion == "" {
			s.Signed = true
			return s, nil
		}
		list, err := a.store.Signatures(ctx, userID)
		if err != nil {
			return s, err
		}
		if s.Signed = !domain.SignatureNeeded(product, texts(list)); s.Signed {
			return s, nil
		}
		if !a.now().Before(quote.ExpireTime) {
			s.Missing = append(s.Missing, "a plan: the quote's time is over, choose again with ConfirmPayChannel")
		}
	}
	switch _, _, err := a.signer(ctx, userID); {
	case errs.Is(err, errs.NotFound):
		s.Missing = append(s.Missing, "the name and the telephone number for the contract: ask customer service")
	case err != nil:
		return s, err
	}
	return s, nil
}

// BatchGetContracts gives the contracts that the loans of the orders rest on, by order and time.
func (a *App) BatchGetContracts(ctx context.Context, orderIDs []ids.ID) ([]OrderContract, error) {
	return a.store.ContractsOfOrders(ctx, orderIDs, "")
}

// ContractLink is a contract of an order and a short-lived link to its document.
type ContractLink struct {
	OrderContract
	URL string
}

// ContractsOfOrders returns the contracts that the loans of the orders rest on, by order: a payer's own, a marketplace's users', or all
// for an operator.
func (a *App) ContractsOfOrders(ctx context.Context, who caller.Caller, orderIDs []ids.ID) ([]ContractLink, error) {
	if err := a.esign.available(); err != nil {
		return nil, err
	}
	list, err := a.store.ContractsOfOrders(ctx, orderIDs, who.UserID) // Only H5 callers have a user.
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(c OrderContract) bool { return !who.Sees(c.UserID) })
	expires := a.now().Add(a.esign.LinkLife).Unix()
	out := make([]ContractLink, len(list))
	for i, c := range list {
		out[i] = ContractLink{OrderContract: c, URL: a.esign.LinkBase + "/h5/v1/contracts/" + c.Number + "/pdf?expires=" + strconv.FormatInt(expires, 10) +
			"&signature=" + base64.RawURLEncoding.EncodeToString(a.esign.Keys.MAC(linkPurpose, linkParts(c.Number, expires)...))}
	}
	return out, nil
}

// linkPurpose separates the links' signatures from every other use of the keyring.
const linkPurpose = "esign-contract-link"

func linkParts(number string, expires int64) [][]byte {
	return [][]byte{[]byte(number), []byte(strconv.FormatInt(expires, 10))}
}

// ContractFile is the document behind a link. It fails with errs.TokenExpired when the link's time is over, and with errs.NotFound for
// every link that was not given out.
func (a *App) ContractFile(ctx context.Context, number string, expires int64, signature string) ([]byte, error) {
	if err := a.esign.available(); err != nil {
		return nil, err
	}
	mac, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !a.esign.Keys.VerifyMAC(linkPurpose, mac, linkParts(number, expires)...) {
		return nil, errs.NotFound.New("there is no such contract, or the link is damaged")
	}
	if !a.now().Before(time.Unix(expires, 0)) {
		return nil, errs.TokenExpired.New("the link's time is over; ask for a new one with BatchQueryContractByOrderId")
	}
	pdf, found, err := a.store.ContractFile(ctx, number)
	if err == nil && !found {
		err = errs.NotFound.New("there is no such contract")
	}
	return pdf, err
}
