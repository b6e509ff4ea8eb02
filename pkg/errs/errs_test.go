package errs_test

import (
	"errors"
	"fmt"
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
		if !errs.Business(r.New("x")) {
			t.Errorf("%s should be a rule's refusal", r.Name())
		}
	}
	for _, err := range []error{errs.Internal.New("x"), errs.DependencyUnavailable.New("x"), errs.RequestInFlight.New("x"), errors.New("x")} {
		if errs.Business(err) {
			t.Errorf("%v should be a fault", err)
		}
	}
}
