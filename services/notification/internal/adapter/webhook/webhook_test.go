package webhook_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creditpay/creditpay/services/notification/internal/adapter/webhook"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

func post(t *testing.T, p *webhook.Poster, url string) (domain.Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return p.Post(ctx, url, domain.Message{Body: []byte(`{}`), Headers: map[string]string{"webhook-id": "evt_1"}})
}

// The address is checked when it is connected to, after its name was resolved: a name that leads here is refused as the address is.
func TestNothingIsPostedToAClosedAddressWhateverItsName(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	p := webhook.New(domain.Reach{}, nil)
	t.Cleanup(p.Close)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "127.1"} {
		_, err := post(t, p, "http://"+host+port+"/secret-path")
		if err == nil || strings.Contains(err.Error(), "secret-path") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if reached.Load() != 0 {
		t.Errorf("a closed address was reached %d times", reached.Load())
	}
	if _, err := post(t, p, "http://127.0.0.1"+port); err == nil || err.Error() != "the address does not lead to the public network" {
		t.Error(err)
	}
	local := webhook.New(domain.Reach{Loopback: true}, nil)
	t.Cleanup(local.Close)
	if answer, err := post(t, local, server.URL); err != nil || answer.Status != 200 || reached.Load() != 1 {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	strange := webhook.New(domain.Reach{Loopback: true}, nil)
	t.Cleanup(strange.Close)
	if _, err := post(t, strange, server.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody was taken: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	known := webhook.New(domain.Reach{Loopback: true}, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	t.Cleanup(known.Close)
	if answer, err := post(t, known, server.URL); err != nil || answer.Status != 200 {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestAnAnswerIsBoundedInSize(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil { // It has no end.
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	p := webhook.New(domain.Reach{Loopback: true}, nil)
	t.Cleanup(p.Close)
	if answer, err := post(t, p, server.URL); err != nil || len(answer.Body) != domain.AnswerMax || !answer.Cut {
		t.Errorf("%d bytes, cut %v, %v", len(answer.Body), answer.Cut, err)
	}
}
