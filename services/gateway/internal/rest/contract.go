package rest

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"google.golang.org/grpc/metadata"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// ContractPattern is the address of a contract's document: what links of BatchQueryContractByOrderId name.
const ContractPattern = "GET /h5/v1/contracts/{contract}/pdf"

// Contract serves a contract's document to who holds a link to it. The link is the permission, so no token is asked for; the gateway
// calls with its own. Without tokens of its own it answers NOT_YET_AVAILABLE.
func Contract(bill billv1.BillInternalServiceClient, tokens rpckit.TokenSource) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := r.PathValue("contract")
		if wrong, ok := refuseLink(r.URL.RawQuery); ok {
			Write(w, wrong.refusal())
			return
		}
		expires, err := strconv.ParseInt(r.URL.Query().Get("expires"), 10, 64)
		if err != nil {
			Write(w, errs.NotFound.New("there is no such contract, or the link is damaged"))
			return
		}
		ctx, err := withToken(r, tokens)
		if err != nil {
			Write(w, err)
			return
		}
		file, err := bill.GetContractFile(ctx, &billv1.GetContractFileRequest{ContractId: number, Expires: expires, Signature: r.URL.Query().Get("signature")})
		if err != nil {
			Write(w, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/pdf")
		// A number that was found is of letters, digits and dashes.
		h.Set("Content-Disposition", `attachment; filename="`+number+`.pdf"`)
		h.Set("Content-Length", strconv.Itoa(len(file.GetPdf())))
		_, _ = w.Write(file.GetPdf()) // a client that went away is no fault of ours
	})
}

// refuseLink returns what is wrong with the query of a link: it has two parameters, once each.
func refuseLink(raw string) (wrongParameter, bool) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return malformedQuery(), true
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		switch {
		case key != "expires" && key != "signature":
			return wrongParameter{Field: key, Rule: ruleQuery, Text: "a link has no such parameter; use it as it was handed out"}, true
		case len(values[key]) > 1:
			return wrongParameter{Field: key, Rule: ruleQuery, Text: "is given more than once; give it once"}, true
		}
	}
	return wrongParameter{}, false
}

// withToken is the request's context for a call in the gateway's own name.
func withToken(r *http.Request, tokens rpckit.TokenSource) (context.Context, error) {
	if tokens == nil {
		return nil, errs.NotYetAvailable.New("contracts are not served here")
	}
	token, err := tokens.Token(r.Context())
	if err != nil {
		return nil, errs.Internal.Wrap(err, "get a token")
	}
	return metadata.AppendToOutgoingContext(r.Context(), "authorization", "Bearer "+token, rpckit.RequestIDKey, r.Header.Get(rpckit.RequestIDKey)), nil
}
