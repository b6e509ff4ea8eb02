// Package docs owns the pages for people: the landing page and the description of the REST calls, which works without any other
// host.
//
// It must not need a token and must show nothing but the contract.
package docs

import (
	"embed"
	"net/http"

	"github.com/creditpay/creditpay/proto"
)

//go:embed static
var static embed.FS

// policy lets a page load its own script and style and call its own host; nothing inline, nothing from elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves "/", "/docs", its script and style, and "/docs/openapi.json".
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", file("static/landing.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /docs", file("static/docs.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /docs/{$}", file("static/docs.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /docs/docs.js", file("static/docs.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /docs/docs.css", file("static/docs.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /docs/openapi.json", func(w http.ResponseWriter, _ *http.Request) { send(w, "application/json", proto.OpenAPI) })
	return mux
}

// file serves one embedded file.
func file(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		raw, err := static.ReadFile(name)
		if err != nil { // it is embedded: only a misspelt name comes here, and the tests see it
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		send(w, contentType, raw)
	}
}

func send(w http.ResponseWriter, contentType string, raw []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Security-Policy", policy)
	_, _ = w.Write(raw) // a client that went away is no fault of ours
}
