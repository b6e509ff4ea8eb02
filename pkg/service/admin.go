package service

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// readyTime bounds the readiness checks of all parts together.
const readyTime = 2 * time.Second

// newHTTP makes the public HTTP server: liveness, whether the process is ready, and what the process serves besides.
func (h *Host) newHTTP() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", h.readyz(bare))
	if h.deps.HTTP != nil {
		mux.Handle("/", h.deps.HTTP)
	}
	h.http = h.newServer(mux, 45*time.Second) // above the longest deadline that the gateway allows
}

// newOps makes the HTTP server for operators: metrics, profiles, and what is not ready.
func (h *Host) newOps() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", h.readyz(detailed))
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.deps.Registry, promhttp.HandlerOpts{
		Registry: h.deps.Registry, MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol) // cmdline is left out: arguments are nobody's business
	h.ops = h.newServer(mux, 2*time.Minute)                 // a profile takes 30 s unless it is asked for more
}

// newServer makes an HTTP server with bounds.
func (h *Host) newServer(handler http.Handler, write time.Duration) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      write,
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          zap.NewStdLog(h.deps.Log.Named("http")),
	}
}

// healthz says that the process is alive and no more: one that drains, or whose database is away, must not be killed for it.
func healthz(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"alive": true})
}

// detail is how much readyz shows.
type detail int

const (
	// bare shows whether the process is ready: the public must not learn what it is made of.
	bare detail = iota
	// detailed names the parts that are not ready.
	detailed
)

// readyz answers 200 when every part is ready, otherwise 503; why stands in the log.
func (h *Host) readyz(how detail) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		waiting := h.asked.answer(r.Context(), h.notReady)
		if h.draining.Load() {
			waiting = append(waiting, "draining")
		}
		status, body := http.StatusOK, map[string]any{"ready": len(waiting) == 0}
		if len(waiting) > 0 {
			status = http.StatusServiceUnavailable
			if how == detailed {
				body["waiting_for"] = waiting
			}
		}
		reply(w, status, body)
	}
}

// readinessAge is how long an answer is given again: whoever asks for readiness a thousand times must not ask the database as often.
const readinessAge = 500 * time.Millisecond

// readiness remembers what was not ready a moment ago.
type readiness struct {
	mu      sync.Mutex
	until   time.Time
	waiting []string
}

// answer asks, one at a time, or returns the answer that it has.
func (r *readiness) answer(ctx context.Context, ask func(context.Context) []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.until) {
		return slices.Clone(r.waiting)
	}
	// One who goes away must not spoil the answer of the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
	defer cancel()
	r.waiting = ask(ctx)
	r.until = time.Now().Add(readinessAge)
	return slices.Clone(r.waiting)
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
