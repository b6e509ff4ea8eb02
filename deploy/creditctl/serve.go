package creditctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/deploy/audit"
)

// serveAudit repeats the audit and shows its result as metrics, until ctx ends.
func serveAudit(ctx context.Context, out io.Writer, c audit.Config, every time.Duration, listen string) error {
	registry := prometheus.NewRegistry()
	findings := prometheus.NewGauge(prometheus.GaugeOpts{Name: "creditpay_audit_findings", Help: "Findings of the last audit; above 0 means that the books are not proven."})
	last := prometheus.NewGauge(prometheus.GaugeOpts{Name: "creditpay_audit_last_success_timestamp_seconds", Help: "When an audit last ran to its end."})
	registry.MustRegister(findings, last)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	defer func() { _ = server.Close() }()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		r, err := audit.Run(ctx, c)
		if err != nil {
			_ = text.Fprintf(out, "audit: %v\n", err)
		} else {
			findings.Set(float64(len(r.Findings)))
			last.SetToCurrentTime()
			if err := printReport(out, r, "text"); err != nil && !errors.Is(err, ErrFindings) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("serve metrics: %w", err)
		case <-ticker.C:
		}
	}
}
