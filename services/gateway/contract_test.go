package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// serviceToken is the gateway's own token.
type serviceToken struct{}

func (serviceToken) Token(context.Context) (string, error) { return "SERVICE", nil }

// fakeContracts has one document, behind one link, and one link that is over.
type fakeContracts struct {
	billv1.UnimplementedBillInternalServiceServer
}

func (fakeContracts) GetContractFile(_ context.Context, req *billv1.GetContractFileRequest) (*billv1.GetContractFileResponse, error) {
	switch {
	case req.GetContractId() == "CP-1" && req.GetExpires() == 7 && req.GetSignature() == "good":
		return &billv1.GetContractFileResponse{Pdf: []byte("%PDF-1.3 document")}, nil
	case req.GetSignature() == "over":
		return nil, errs.TokenExpired.New("ask for a new link")
	default:
		return nil, errs.NotFound.New("no such contract")
	}
}

func TestAContractIsServedToWhoHoldsItsLink(t *testing.T) {
	t.Parallel()
	_, server := start(t, config(backends(t)))
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/h5/v1/contracts/CP-1/pdf?expires=7&signature=good":    {http.StatusOK, "%PDF-1.3 document"},
		"/h5/v1/contracts/CP-1/pdf?expires=7&signature=bad":     {http.StatusNotFound, `"reason":"NOT_FOUND"`},
		"/h5/v1/contracts/CP-1/pdf?expires=7&signature=over":    {http.StatusUnauthorized, `"reason":"TOKEN_EXPIRED"`},
		"/h5/v1/contracts/CP-1/pdf?expires=soon&signature=good": {http.StatusNotFound, `"reason":"NOT_FOUND"`},
		"/h5/v1/contracts/CP-1/pdf":                             {http.StatusNotFound, `"reason":"NOT_FOUND"`},
		"/h5/v1/contracts/CP-1":                                 {http.StatusUnauthorized, `"reason":"TOKEN_MISSING"`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != want.status || !strings.Contains(string(body), want.body) {
			t.Errorf("%s: %d %s, %v", path, res.StatusCode, body, err)
		}
		if want.status == http.StatusOK && (res.Header.Get("Content-Type") != "application/pdf" || res.Header.Get("Cache-Control") != "no-store" ||
			res.Header.Get("Content-Disposition") != `attachment; filename="CP-1.pdf"`) {
			t.Errorf("headers %v", res.Header)
		}
	}
}
