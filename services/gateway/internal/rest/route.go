package rest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// route is what an address takes besides its path.
type route struct {
	message protoreflect.MessageDescriptor
	// inPath are the fields that the address names.
	inPath []string
	// body reports whether the rest of the message stands in the body.
	body bool
}

// routes are the addresses of the contract by method and template, "GET /h5/v1/orders/{order_id=*}".
type routes map[string]route

// routesOf reads the google.api.http rules of the suite's methods.
func routesOf(files *protoregistry.Files) routes {
	all := routes{}
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "creditpay.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				all.add(methods.Get(j))
			}
		}
		return true
	})
	return all
}

func (all routes) add(method protoreflect.MethodDescriptor) {
	rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return
	}
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		verb, template := http.MethodGet, binding.GetGet()
		if binding.GetPost() != "" {
			verb, template = http.MethodPost, binding.GetPost()
		}
		all[verb+" "+plain(template)] = route{message: method.Input(), inPath: variables(template), body: binding.GetBody() != ""}
	}
}

// plain is a template without the patterns of its variables, as the contract writes them.
func plain(template string) string { return strings.ReplaceAll(template, "=*}", "}") }

// variables are the names between the braces of a template.
func variables(template string) []string {
	var names []string
	for _, part := range strings.Split(template, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		names = append(names, name)
	}
	return names
}

// guard refuses what a route would not read: query parameters that it does not know or that stand in its address, and a body where
// none is taken. What a caller sends is a part of what they ask for: "?dryRun=true" must not freeze an account.
func (all routes) guard(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, pathParams map[string]string) {
		if r.Method == http.MethodGet {
			if r.ContentLength != 0 {
				Write(w, wrongParameter{Rule: ruleQuery, Text: "this address takes no body; send parameters in the query"}.refusal())
				return
			}
		} else if len(pathParams) > 0 {
			r.Body = &addressed{ReadCloser: r.Body, path: pathParams}
		}
		if r.URL.RawQuery != "" {
			if wrong, ok := all.of(r).refuse(r.URL.RawQuery); ok {
				Write(w, wrong.refusal())
				return
			}
		}
		next(w, r, pathParams)
	}
}

// of is the route that a request goes by; one that takes nothing when it is not of the contract.
func (all routes) of(r *http.Request) route {
	pattern, _ := runtime.HTTPPattern(r.Context())
	return all[r.Method+" "+plain(pattern.String())]
}

// refuse returns what is wrong with a query, if anything is, judged by its names; values are read later.
func (t route) refuse(raw string) (wrongParameter, bool) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return malformedQuery(), true
	}
	for _, key := range slices.Sorted(maps.Keys(values)) { // sorted: the same answer each time
		if text := t.refuseKey(key); text != "" {
			return wrongParameter{Field: key, Rule: ruleQuery, Text: text}, true
		}
	}
	return wrongParameter{}, false
}

func malformedQuery() wrongParameter {
	return wrongParameter{Rule: ruleQuery, Text: "the query is malformed; write name=value, joined by &"}
}

func (t route) refuseKey(key string) string {
	switch {
	case t.body:
		return "this address takes no query parameters; send the field in the body"
	case t.message == nil:
		return "this address takes no query parameters"
	}
	field, err := fieldOf(t.message, key)
	switch {
	case err != nil:
		return "this address has no such parameter; see /docs"
	case slices.Contains(t.inPath, string(field.Name())) && !strings.Contains(key, "."):
		return "stands in the address already; leave the parameter out"
	}
	return ""
}

// addressed is a body whose address names a part of the message.
type addressed struct {
	io.ReadCloser
	path map[string]string
}

// sameObject refuses a message whose body names another object than its address: the address would win without a word.
func sameObject(body io.Reader, m protoreflect.Message) error {
	request, ok := body.(*addressed)
	if !ok {
		return nil
	}
	for name, value := range request.path {
		field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if field != nil && m.Has(field) && fmt.Sprint(m.Get(field).Interface()) != value {
			return wrongParameter{Field: name, Rule: rulePath, Text: "names another object than the address; leave it out of the body"}
		}
	}
	return nil
}
