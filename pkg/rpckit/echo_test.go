package rpckit

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

func TestEchoed_HidesSecretsAndCutsLongWords(t *testing.T) {
	t.Parallel()
	const pin = "482913"
	long := strings.Repeat("ж", 2000)
	req := &paymentv1.DoCommitPaymentRequest{CheckoutId: long, Pin: pin}
	e := errs.InvalidArgument.Wrap(FieldViolations{{Field: "pin", Rule: "x", Text: "not " + pin}, {Field: "checkout_id", Text: long}},
		"checkout %s cannot be paid with %s", long, pin).With("pin", pin)
	for name, request := range map[string]any{"decoded": req, "pending": &pending{message: req}} {
		got := echoed(request, e)
		var violations FieldViolations
		if got.Reason() != errs.InvalidArgument || !errors.As(got, &violations) || len(violations) != 2 {
			t.Fatalf("%s: it became %v", name, got)
		}
		said := got.Message() + got.Metadata()["pin"] + violations.Error()
		if strings.Contains(said, pin) {
			t.Errorf("%s: the PIN comes back in %.300s", name, said)
		}
		if len(got.Message()) > EchoMax+100 || len(violations[1].Text) > EchoMax || !strings.HasPrefix(got.Message(), "checkout жжж") {
			t.Errorf("%s: %d bytes come back: %.60s", name, len(got.Message()), got.Message())
		}
	}
	if got := echoed(&billv1.QueryUserInstalmentInfoRequest{}, e); got.Metadata()["pin"] != pin || len(got.Message()) != len(e.Message()) {
		t.Error("words that are not the request's were changed")
	}
}

// TestSecrets_AreMarked finds fields by their names that hold secrets and are not marked with debug_redact.
func TestSecrets_AreMarked(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`^((new_|old_)?pin|token|secret|password|signature|checkout_proof|otp|full_name|phone|notify_url)$`)
	found := 0
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] || !strings.HasPrefix(string(m.FullName()), Domain+".") {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			if secret.MatchString(string(field.Name())) {
				found++
				if !IsSecret(field) {
					t.Errorf("%s holds a secret by its name: mark it with debug_redact", field.FullName())
				}
			}
			if field.Message() != nil {
				walk(field.Message())
			}
		}
	}
	eachMethod(func(m protoreflect.MethodDescriptor) { walk(m.Input()); walk(m.Output()) })
	if found < 8 {
		t.Errorf("only %d were found", found)
	}
}
