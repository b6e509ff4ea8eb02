package archtest

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"
)

// route is one REST address of an RPC.
type route struct{ rpc, verb, path string }

// routes are those of the whole contract.
func routes() []route {
	var out []route
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for k := range methods.Len() {
				rule, ok := proto.GetExtension(methods.Get(k).Options(), annotations.E_Http).(*annotations.HttpRule)
				if !ok || rule == nil || !strings.HasPrefix(string(f.Package()), "creditpay.") {
					continue
				}
				for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
					for verb, path := range map[string]string{"GET": r.GetGet(), "POST": r.GetPost(), "PUT": r.GetPut(), "DELETE": r.GetDelete(), "PATCH": r.GetPatch()} {
						if path != "" {
							out = append(out, route{string(methods.Get(k).FullName()), verb, path})
						}
					}
				}
			}
		}
		return true
	})
	return out
}

// The gateway takes the pattern that was registered last: where a fixed word of one address stands against a variable of another, one
// of the two cannot be reached.
func TestNoRESTAddressHidesAnother(t *testing.T) {
	t.Parallel()
	list := routes()
	if len(list) < 40 {
		t.Fatalf("only %d routes were found", len(list))
	}
	for i, x := range list {
		for _, y := range list[i+1:] {
			if x.verb == y.verb && overlap(x.path, y.path) {
				t.Errorf("%s %s of %s and %s of %s take the same requests", x.verb, x.path, x.rpc, y.path, y.rpc)
			}
		}
	}
}

func overlap(x, y string) bool {
	a, b := strings.Split(x, "/"), strings.Split(y, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !strings.HasPrefix(a[i], "{") && !strings.HasPrefix(b[i], "{") {
			return false
		}
	}
	return true
}
