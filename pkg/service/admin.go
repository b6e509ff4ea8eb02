package service

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// readyTime bounds the readiness checks of all parts together.
const readyTime = 2 * time.Second

// newHTTP makes the HTTP server: liveness, readiness and metrics, and beside them what the process serves.
func (h *Host) newHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		// Alive is all that this says: a process that drains, or whose database is away, must not be killed for it.
		reply(w, http.StatusOK, map[string]any{"alive": true})
	})
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.deps.Registry, promhttp.HandlerOpts{Registry: h.deps.Registry, MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	if h.deps.HTTP != nil {
		mux.Handle("/", h.deps.HTTP)
	}
	h.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      45 * time.Second, // above the longest deadline that the gateway allows
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          zap.NewStdLog(h.deps.Log.Named("http")),
	}
}

// readyz answers 200 when every part is ready, otherwise 503 with the names of those that are not; why stands in the log.
func (h *Host) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	waiting := h.notReady(ctx)
	if h.draining.Load() {
		waiting = append(waiting, "draining")
	}
	if len(waiting) > 0 {
		reply(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "waiting_for": waiting})
		return
	}
	reply(w, http.StatusOK, map[string]any{"ready": true})
}

// notReady asks all parts at once and names those that are not ready.
func (h *Host) notReady(ctx context.Context) []string {
	answers := make([]chan error, len(h.parts))
	for i, part := range h.parts {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- part.Ready(ctx) }()
	}
	var waiting []string
	for i, part := range h.parts {
		var err error
		select {
		case err = <-answers[i]:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			h.deps.Log.Warn("not ready", zap.String("part", part.Name()), zap.Error(err))
			waiting = append(waiting, part.Name())
		}
	}
	return waiting
}

func reply(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away is no fault of ours
}
