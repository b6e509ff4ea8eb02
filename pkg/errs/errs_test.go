package errs_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

func TestEveryReasonOfTheContractHasAGoValueAndBack(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, r := range errs.All() {
		if have[r.Name()] {
			t.Errorf("reason %s stands twice", r.Name())
		}
		have[r.Name()] = true
		if _, ok := commonv1.ErrorReason_value["ERROR_REASON_"+r.Name()]; !ok {
			t.Errorf("reason %s is not in the contract", r.Name())
		}
	}
	for name, number := range commonv1.ErrorReason_value {
		if number != 0 && !have[name[len("ERROR_REASON_"):]] {
			t.Errorf("the contract's %s has no Go value", name)
		}
	}
}

func TestReasonSurvivesWrappingAndMetadataIsCopied(t *testing.T) {
	t.Parallel()
	cause := errors.New("row locked")
	first := errs.ConcurrentChange.Wrap(cause, "read it again")
	second := first.With("state", "PAID")
	wrapped := fmt.Errorf("confirm order: %w", second)
	if !errs.Is(wrapped, errs.ConcurrentChange) || !errors.Is(wrapped, cause) {
		t.Fatalf("reason or cause lost in %v", wrapped)
	}
	if first.Metadata() != nil || second.Metadata()["state"] != "PAID" {
		t.Fatalf("metadata shared: %v, %v", first.Metadata(), second.Metadata())
	}
}

func TestBusinessTellsRulesFromFaults(t *testing.T) {
	t.Parallel()
	for _, r := range []errs.Reason{errs.LimitInsufficient, errs.NotFound, errs.InvalidArgument} {
		if !errs.Business(r.New("x")) || errs.Passing(r.New("x")) {
			t.Errorf("%s should be a rule's refusal", r.Name())
		}
	}
	for _, err := range []error{errs.Internal.New("x"), errs.DependencyUnavailable.New("x"), errs.RequestInFlight.New("x"), errors.New("x")} {
		if errs.Business(err) || errs.Passing(err) != (errs.Is(err, errs.DependencyUnavailable) || errs.Is(err, errs.RequestInFlight)) {
			t.Errorf("%v should be a fault", err)
		}
	}
}

// The words of the contract, the kind and the advice to repeat say the same: a reason whose comment says "repeat" in brackets is
// repeated after a pause, every other one is not.
func TestReason_IsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile("../../proto/creditpay/common/v1/error.proto")
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`// \[([A-Z_]+)(, repeat)?\] [^\n]*\n  ERROR_REASON_([A-Z_]+) =`)
	found := map[string][]string{}
	for _, m := range comment.FindAllStringSubmatch(string(contract), -1) {
		found[m[3]] = m
	}
	codes := map[errs.Kind]string{errs.KindInternal: "INTERNAL", errs.KindInvalidArgument: "INVALID_ARGUMENT", errs.KindNotFound: "NOT_FOUND",
		errs.KindAlreadyExists: "ALREADY_EXISTS", errs.KindFailedPrecondition: "FAILED_PRECONDITION", errs.KindAborted: "ABORTED",
		errs.KindPermissionDenied: "PERMISSION_DENIED", errs.KindUnauthenticated: "UNAUTHENTICATED", errs.KindUnavailable: "UNAVAILABLE",
		errs.KindResourceExhausted: "RESOURCE_EXHAUSTED", errs.KindDeadlineExceeded: "DEADLINE_EXCEEDED", errs.KindUnimplemented: "UNIMPLEMENTED"}
	for _, r := range errs.All() {
		m := found[r.Name()]
		if m == nil {
			t.Errorf("%s: its comment in error.proto does not begin with its code in brackets, in one line", r.Name())
			continue
		}
		if m[1] != codes[r.Kind()] || (m[2] != "") != (r.RetryAfter() > 0) {
			t.Errorf("%s: error.proto says [%s%s], the code says %s and repeat after %s", r.Name(), m[1], m[2], codes[r.Kind()], r.RetryAfter())
		}
	}
}
