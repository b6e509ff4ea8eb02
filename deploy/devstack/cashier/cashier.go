// Package cashier simulates the marketplace's cash desk for the development stack: a page that shows a cash leg, or the return of a
// part of one, and tells the payment service, as the marketplace would, that it was paid, that it failed or that it was given back.
//
// It is for loopback only and moves no money. It must not know a rule: what becomes of a notification is the payment service's to
// say, and its answer is shown as it came.
package cashier

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/text"
)

// Legs finds cash legs; the payment service's internal client is one. It finds them by reference, too.
type Legs interface {
	GetCashLeg(ctx context.Context, in *paymentv1.GetCashLegRequest, opts ...grpc.CallOption) (*paymentv1.GetCashLegResponse, error)
}

// Notifier takes what the marketplace tells; the payment service's client, calling as the marketplace, is one.
type Notifier interface {
	NotifyPaymentStatus(ctx context.Context, in *paymentv1.NotifyPaymentStatusRequest, opts ...grpc.CallOption) (*paymentv1.NotifyPaymentStatusResponse, error)
}

// Desk is a cash desk. It listens from Listen on and answers from Serve on.
type Desk struct {
	listener net.Listener
	server   *http.Server
	served   chan error
}

// Listen opens the desk's port. The address must be of the loopback; port 0 chooses a free one.
func Listen(addr string) (*Desk, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("cashier address: %w", err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("cashier address %s is not of the loopback: whoever reaches the desk can say that money came", addr)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("open the cashier: %w", err)
	}
	return &Desk{listener: l}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// URL is the desk's page; "?reference=leg_…" shows a leg.
func (d *Desk) URL() string { return "http://" + d.listener.Addr().String() + "/" }

// Serve begins to answer. Once; Close ends it.
func (d *Desk) Serve(legs Legs, marketplace Notifier) {
	d.server = &http.Server{Handler: Handler(legs, marketplace), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	d.served = make(chan error, 1)
	go func() { d.served <- d.server.Serve(d.listener) }()
}

// Close ends the desk and waits for what it is doing.
func (d *Desk) Close(ctx context.Context) error {
	if d.server == nil {
		return d.listener.Close()
	}
	err := d.server.Shutdown(ctx)
	if served := <-d.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Handler is the desk's pages: GET / shows a leg; POST /pay, /fail and /refund tell what became of it. The reference of a return, of a
// cancelled order's share or for a refund, shows what is to be given back: /refund does it, /fail cannot. Parameters are reference
// and, to try what a wrong notification does, amount and currency. "Accept: application/json" gives JSON. A page of another site
// can neither read nor send anything here.
func Handler(legs Legs, marketplace Notifier) http.Handler {
	desk := &desk{legs: legs, marketplace: marketplace}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", desk.show)
	for path, status := range map[string]paymentv1.ExternalLegStatus{
		"POST /pay":    paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID,
		"POST /fail":   paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_FAILED,
		"POST /refund": paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_REFUNDED,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { desk.tell(w, r, status) })
	}
	return guarded(http.NewCrossOriginProtection().Handler(mux))
}

// bodyMax bounds a form.
const bodyMax = 16 << 10

// guarded refuses names that are not of the loopback, so that no name of a foreign site can be made to point here.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !loopback(strings.Trim(host, "[]")) {
			http.Error(w, "the cashier answers on the loopback only", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, bodyMax)
		next.ServeHTTP(w, r)
	})
}

type desk struct {
	legs        Legs
	marketplace Notifier
}

// page is what the template and the JSON form show.
type page struct {
	// Leg is nil when there is none to show.
	Leg *paymentv1.CashLeg
	// Amount and State of the leg for people.
	Amount, State string
	// Back says that it is money on its way back, which nobody pays.
	Back bool
	// Reason and Message of a refusal; empty otherwise.
	Reason, Message string
}

func (d *desk) show(w http.ResponseWriter, r *http.Request) {
	var p page
	var err error
	if reference := r.URL.Query().Get("reference"); reference != "" {
		p, err = d.read(r.Context(), reference)
	}
	d.answer(w, r, p, err)
}

func (d *desk) read(ctx context.Context, reference string) (page, error) {
	if !strings.HasPrefix(reference, "leg_") {
		return page{}, errs.InvalidArgument.New("reference is not an id of the form leg_…")
	}
	res, err := d.legs.GetCashLeg(ctx, &paymentv1.GetCashLegRequest{SubjectId: reference})
	if err != nil {
		return page{}, err
	}
	leg := res.GetLeg()
	p := page{Leg: leg, Back: leg.GetState() == paymentv1.LegState_LEG_STATE_RETURNING, State: strings.TrimPrefix(leg.GetState().String(), "LEG_STATE_"), Amount: fmt.Sprint(leg.GetAmount().GetAmountMinor())}
	if cur, err := money.CurrencyOf(leg.GetAmount().GetCurrencyCode()); err == nil {
		p.Amount = money.New(leg.GetAmount().GetAmountMinor(), cur).String()
	}
	return p, nil
}

// tell notifies the payment service and shows the leg as it is then.
func (d *desk) tell(w http.ResponseWriter, r *http.Request, status paymentv1.ExternalLegStatus) {
	reference := r.FormValue("reference")
	p, err := d.read(r.Context(), reference)
	if err != nil {
		d.answer(w, r, p, err)
		return
	}
	amount := &commonv1.Money{AmountMinor: new(p.Leg.GetAmount().GetAmountMinor()), CurrencyCode: p.Leg.GetAmount().GetCurrencyCode()}
	if given := r.FormValue("amount"); given != "" {
		minor, err := strconv.ParseInt(given, 10, 64)
		amount.AmountMinor = &minor
		if err != nil {
			d.answer(w, r, p, errs.InvalidArgument.Wrap(err, "amount is a whole number of minor units"))
			return
		}
	}
	if code := r.FormValue("currency"); code != "" {
		amount.CurrencyCode = code
	}
	_, err = d.marketplace.NotifyPaymentStatus(r.Context(), &paymentv1.NotifyPaymentStatusRequest{RequestId: "cashier-" + rand.Text(),
		ExternalReference: reference, Leg: p.Leg.GetKind(), Status: status, Amount: amount})
	if now, readErr := d.read(r.Context(), reference); readErr == nil {
		p = now
	}
	d.answer(w, r, p, err)
}

// answer shows a page; a refusal of the payment service is shown as it came, with the code that gRPC gives it.
func (d *desk) answer(w http.ResponseWriter, r *http.Request, p page, err error) {
	status := http.StatusOK
	if err != nil {
		p.Reason, p.Message, status = "INTERNAL", "the payment service cannot be asked", http.StatusBadGateway
		var refusal *errs.Error
		if errors.As(err, &refusal) {
			p.Reason, p.Message = refusal.Reason().Name(), refusal.Message()
			status = httpOf(refusal)
		}
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, status, p)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = view.Execute(w, p) // The browser went away; there is nobody to tell.
}

func httpOf(refusal *errs.Error) int {
	switch rpckit.CodeOf(refusal).String() {
	case "NotFound":
		return http.StatusNotFound
	case "Unavailable", "DeadlineExceeded", "Internal":
		return http.StatusBadGateway
	case "Aborted", "AlreadyExists":
		return http.StatusConflict
	default:
		return http.StatusBadRequest
	}
}

func writeJSON(w http.ResponseWriter, status int, p page) {
	out := struct {
		Leg     json.RawMessage `json:"leg,omitempty"`
		Reason  string          `json:"reason,omitempty"`
		Message string          `json:"message,omitempty"`
	}{Reason: p.Reason, Message: p.Message}
	if p.Leg != nil {
		leg, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(p.Leg)
		if err != nil {
			http.Error(w, "the leg cannot be shown", http.StatusInternalServerError)
			return
		}
		out.Leg = leg
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = text.FprintJSON(w, out) // The caller went away; there is nobody to tell.
}

// view is the page. What it shows is escaped by the template, and shows what would turn a line around (line).
var view = template.Must(template.New("cashier").Funcs(template.FuncMap{"line": text.Line}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Cash desk (simulator)</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}dt{color:#666}dd{margin:0 0 .5rem}
.bad{border-left:4px solid #b00;padding-left:1rem}button{font:inherit;padding:.5rem 1rem;margin-right:.5rem}form{display:inline}</style></head>
<body><h1>Cash desk</h1><p>This simulates the marketplace's cash desk on the development stack. No money moves.</p>
{{if .Reason}}<p class="bad"><strong>{{line .Reason}}</strong><br>{{line .Message}}</p>{{end}}
{{with .Leg}}<dl><dt>Reference</dt><dd>{{line .Reference}}</dd><dt>For</dt><dd>{{line .SubjectId}} of {{line .UserId}}</dd><dt>By</dt><dd>{{line .Channel}}</dd>
<dt>Amount</dt><dd>{{line $.Amount}}</dd><dt>State</dt><dd>{{line $.State}}</dd>{{if $.Back}}<dt>To be given back</dt><dd>by Refund; Fail says that it cannot be</dd>{{else}}<dt>To be paid until</dt><dd>{{.ExpireTime.AsTime.Format "2006-01-02 15:04:05 MST"}}</dd>{{end}}</dl>
<form method="post" action="/pay"><input type="hidden" name="reference" value="{{.Reference}}"><button>Pay</button></form>
<form method="post" action="/fail"><input type="hidden" name="reference" value="{{.Reference}}"><button>Fail</button></form>
<form method="post" action="/refund"><input type="hidden" name="reference" value="{{.Reference}}"><button>Refund</button></form>
{{else}}<form method="get" action="/"><label>Reference <input name="reference" size="34" placeholder="leg_…"></label> <button>Show</button></form>{{end}}
</body></html>
`))
