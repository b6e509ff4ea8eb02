package inbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/eventsig/eventsigtest"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// write sends messages as they are.
func (d *desk) write(t *testing.T, msgs ...kafka.Message) {
	t.Helper()
	if err := d.producer.WriteMessages(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
}

// refused returns what the audit says of refused events.
func (d *desk) refused(t *testing.T) []string {
	t.Helper()
	found, err := audit.Run(t.Context(), d.db, "test", time.Now().UTC(), audit.Mechanism())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		if f.Check == "refused_events" {
			out = append(out, f.Text)
		}
	}
	return out
}

// TestForgeries_AreRefusedAndNamed sends forgeries between genuine events: those are applied, the forgeries are not, nothing waits, and
// the audit names each.
func TestForgeries_AreRefusedAndNamed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	var counted []eventsig.Reason
	d.consumer.Refused = func(_ string, r eventsig.Reason) { counted = append(counted, r) }
	var strangers eventsigtest.Keys
	changed := d.keys.Sign(t, d.message(t, "the amount agreed"))[0]
	changed.Value = d.message(t, "7,000,000").Value
	forged := []kafka.Message{
		d.message(t, "no signature"),
		strangers.Sign(t, d.message(t, "the key of a stranger under a known id"))[0],
		changed,
		{Topic: topic, Key: []byte("k"), Value: []byte("\xffnoise")},
	}
	d.send(t, d.message(t, "a"))
	d.write(t, forged...)
	d.send(t, d.message(t, "b"))
	d.run(t)
	d.wait(t, "a", "b")
	testkit.Eventually(t, within, func() error {
		if got := d.refused(t); len(got) != len(forged) || !strings.Contains(strings.Join(got, "\n"), "google.protobuf.StringValue") {
			return fmt.Errorf("the audit names %q", got)
		}
		return nil
	})
	if got := d.deadLetters(t, inbox.IncludeReplayed); len(got) != 0 {
		t.Errorf("%d forgeries are dead letters, which an operator could replay", len(got))
	}
	want := []eventsig.Reason{eventsig.Unsigned, eventsig.WrongSignature, eventsig.WrongSignature, eventsig.Unsigned}
	if !slices.Equal(counted, want) {
		t.Errorf("counted %v, want %v", counted, want)
	}
}

// TestRefusedEvent_ComesAgainSigned: what was refused for a key that came late is applied when its owner sends it again, and then the
// audit is silent.
func TestRefusedEvent_ComesAgainSigned(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	m := d.message(t, "a")
	d.write(t, m)
	d.run(t)
	testkit.Eventually(t, within, func() bool { return len(d.refused(t)) == 1 })
	d.send(t, m)
	d.wait(t, "a")
	if got := d.refused(t); len(got) != 0 {
		t.Errorf("the audit still names %q", got)
	}
}

// TestUnsignedUntil_LetsOnlyUnsignedIn: the way from a release that did not sign does not open the door for bad signatures.
func TestUnsignedUntil_LetsOnlyUnsignedIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.consumer.UnsignedUntil = time.Now().Add(time.Hour)
	var strangers eventsigtest.Keys
	d.write(t, d.message(t, "of the last release"), strangers.Sign(t, d.message(t, "forged"))[0])
	d.send(t, d.message(t, "of this release"))
	d.run(t)
	d.wait(t, "of the last release", "of this release")
	if got := d.refused(t); len(got) != 1 {
		t.Errorf("the audit names %q", got)
	}
}

// TestPoison_OfItsOwnerIsReplayedWithoutSignature: a dead letter was verified before it was put aside.
func TestPoison_OfItsOwnerIsReplayedWithoutSignature(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.refuseWith("bad", errPoison)
	d.send(t, d.message(t, "bad"))
	d.run(t)
	testkit.Eventually(t, within, func() bool { return len(d.deadLetters(t, inbox.OnlyOpen)) == 1 })
	d.refuseWith("bad", nil)
	if err := d.consumer.Replay(t.Context(), d.deadLetters(t, inbox.OnlyOpen)[0].ID); err != nil {
		t.Fatal(err)
	}
	d.wait(t, "bad")
}

// TestForgedTypesThatConcernNobody_ArePassedOver: what has no effect costs no check and leaves no row.
func TestForgedTypesThatConcernNobody_ArePassedOver(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.consumer.Types = wantsText()
	payload, err := anypb.New(durationpb.New(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, d.pack(t, payload))
	d.send(t, d.message(t, "a"))
	d.run(t)
	d.wait(t, "a")
	if got := d.refused(t); len(got) != 0 {
		t.Errorf("the audit names %q", got)
	}
}

// TestDeadLetter_WhoseErrorHoldsForeignBytes: a cut or foreign text must not make the row unwritable and stop the partition.
func TestDeadLetter_WhoseErrorHoldsForeignBytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.refuseWith("bad", poison("\xff\xfe"+strings.Repeat("😀", 300)))
	d.send(t, d.message(t, "bad"), d.message(t, "good"))
	d.run(t)
	d.wait(t, "good")
	testkit.Eventually(t, within, func() bool { return len(d.deadLetters(t, inbox.OnlyOpen)) == 1 })
}

var errPoison = poison("refused by a rule")

// poison is an error of a rule: final for its event.
func poison(text string) error { return errs.NotFound.New("%s", text) }

func wantsText() []proto.Message { return []proto.Message{&wrapperspb.StringValue{}} }
