package gateway_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/creditpay/creditpay/pkg/rpckit"
)

// route is a REST route with a body.
type route struct {
	path, kind string
	request    protoreflect.MessageDescriptor
}

// bodyRoutes finds the routes that take a JSON body in the contracts.
func bodyRoutes() []route {
	var all []route
	variable := regexp.MustCompile(`\{[^}]*\}`)
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				rule, ok := proto.GetExtension(methods.Get(j).Options(), annotations.E_Http).(*annotations.HttpRule)
				if !ok || rule.GetPost() == "" {
					continue
				}
				kind := map[string]string{"h5": "H5.user-1", "admin": "ADMIN", "merchant": "MERCHANT"}[strings.Split(rule.GetPost(), "/")[1]]
				all = append(all, route{variable.ReplaceAllString(rule.GetPost(), "x"), kind, methods.Get(j).Input()})
			}
		}
		return true
	})
	return all
}

// secretPaths lists the secret fields of a message as JSON around a value: `{"choice":{"pin":%s}}`.
func secretPaths(message protoreflect.MessageDescriptor, depth int) (paths []string) {
	if depth == 0 {
		return nil
	}
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		around := `{"` + field.JSONName() + `":%s}`
		if field.IsList() {
			around = `{"` + field.JSONName() + `":[%s]}`
		}
		switch {
		case rpckit.IsSecret(field):
			paths = append(paths, around)
		case field.Message() != nil && !field.IsMap():
			for _, inner := range secretPaths(field.Message(), depth-1) {
				paths = append(paths, fmt.Sprintf(around, inner))
			}
		}
	}
	return paths
}

// TestSecrets_NeverComeBack sends every secret field of every request in wrong forms, and looks for it in the answer.
func TestSecrets_NeverComeBack(t *testing.T) {
	t.Parallel()
	_, server := start(t, config(backends(t)))
	const secret = "48291357"
	sent := 0
	for _, r := range bodyRoutes() {
		for _, path := range secretPaths(r.request, 4) {
			for _, wrong := range []string{
				secret, secret + ".5", `{"` + secret + `":1}`, `[` + secret + `]`, `["` + secret + `"]`, `"` + secret, `"` + secret + `" x`,
				secret + "e5", "-" + secret, "true" + secret, `"\` + secret + `"`, `"` + secret + `","` + secret + `":1,"a":"`,
			} {
				body := fmt.Sprintf(path, wrong)
				a := ask(t, server, http.MethodPost, r.path, r.kind, body)
				sent++
				if a.status != http.StatusBadRequest {
					t.Errorf("POST %s %s: %d %s", r.path, body, a.status, a.text)
				}
				if strings.Contains(a.text, secret) {
					t.Errorf("POST %s %s: the secret comes back: %s", r.path, body, a.text)
				}
			}
		}
	}
	if sent < 60 {
		t.Errorf("only %d requests were sent: the walk finds no secrets", sent)
	}
}

func TestBodies_AreEchoedShortAndVisible(t *testing.T) {
	t.Parallel()
	_, server := start(t, config(backends(t)))
	long := strings.Repeat("é", 5000)
	for _, body := range []string{
		`{"` + long + `":1}`, `{"orderId":` + strings.Repeat("9", 5000) + `}`, `{"reason": {"` + long + `":1}}`, `{"a\u001b[31mb\u202e":1}`,
	} {
		a := ask(t, server, http.MethodPost, "/admin/v1/refunds:reject", "ADMIN", body)
		message, _ := a.problem()["message"].(string)
		if a.status != http.StatusBadRequest || message == "" || len(message) > rpckit.EchoMax || strings.ContainsAny(message, "\x1b\u202e") {
			t.Errorf("%.20s…: %d, %d bytes: %q", body, a.status, len(message), message)
		}
	}
}
