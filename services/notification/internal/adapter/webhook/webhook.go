// Package webhook owns the posting of messages to receivers' addresses: one request, bounded in time and size, to the public network
// only.
//
// It must not decide what acknowledges, and must not log what it posts.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

const (
	idleConns        = 256
	idleConnsPerHost = 2
	idleTime         = 30 * time.Second
	headersMax       = 16 << 10
)

// errClosed is answered for an address that must not be posted to.
var errClosed = errors.New("the address does not lead to the public network")

// Poster posts.
type Poster struct{ client *http.Client }

// New makes a poster for what may be reached. The TLS configuration is for tests with certificates of their own; nil for the machine's
// authorities.
func New(reach domain.Reach, tlsConfig *tls.Config) *Poster {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: idleTime, Control: guard(reach)}
	return &Poster{client: &http.Client{
		Transport: &http.Transport{
			// No proxy: the address that is checked is the address that is connected to.
			Proxy: nil, DialContext: dialer.DialContext, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: 5 * time.Second, DisableCompression: true,
			MaxIdleConns: idleConns, MaxIdleConnsPerHost: idleConnsPerHost, IdleConnTimeout: idleTime, MaxResponseHeaderBytes: headersMax,
		},
		// A redirect is an answer like any other, and no acknowledgement.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// guard refuses connections to addresses that must not be reached. It sees the address after its name was resolved, for every
// address that is tried.
func guard(reach domain.Reach) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !reach.Allows(to.Addr()) {
			return errClosed
		}
		return nil
	}
}

// Post implements app.Poster. Its errors never hold the address: it may carry a secret of the receiver's.
func (p *Poster) Post(ctx context.Context, to string, m domain.Message) (domain.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(m.Body))
	if err != nil {
		return domain.Answer{}, errors.New("the address cannot be read")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "creditpay-notification/1")
	for name, value := range m.Headers {
		req.Header.Set(name, value)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return domain.Answer{}, why(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, domain.AnswerMax+1))
	if err != nil {
		return domain.Answer{}, fmt.Errorf("HTTP %d, but the answer broke off: %w", res.StatusCode, why(err))
	}
	return domain.Answer{
		Status: res.StatusCode, Body: body[:min(len(body), domain.AnswerMax)], Cut: len(body) > domain.AnswerMax,
		RetryAfter: domain.ReadRetryAfter(res.Header.Get("Retry-After"), time.Now()),
	}, nil
}

// why is a cause without the address.
func why(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, errClosed):
		return errClosed
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	default:
		return err
	}
}

// Close ends idle connections.
func (p *Poster) Close() { p.client.CloseIdleConnections() }
