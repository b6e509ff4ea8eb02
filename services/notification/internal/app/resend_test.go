package app_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// acknowledgeAll ends every delivery as if it had been sent.
func (d *desk) acknowledgeAll() {
	d.t.Helper()
	_, err := d.db.ExecContext(d.t.Context(), `UPDATE deliveries SET state = 2, due_time = NULL, finish_time = ?, version = version + 1 WHERE state = 1`, d.clock.Now())
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestALongRangeIsResentOnceThoughItIsAcknowledgedMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDesk(t, time.Second)
	e := d.endpoint("shop-1", "http://127.0.0.1:1/", domain.Standard)
	const count = 1_001
	d.tellMany("shop-1", count)
	d.acknowledgeAll()
	f := app.ResendRange{EndpointID: e.ID, From: noon().Add(-time.Minute), To: noon().Add(time.Minute), Delivered: true}
	sum := 0
	for calls := 1; ; calls++ {
		resent, err := d.ResendDeliveries(t.Context(), request(), f)
		if err != nil || calls > 3 {
			t.Fatalf("call %d: %+v, %v", calls, resent, err)
		}
		sum += resent.Count
		d.acknowledgeAll()
		if !resent.More {
			break
		}
		f.Above = resent.Last
	}
	var twice int
	if err := d.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM deliveries WHERE round <> 2`).Scan(&twice); err != nil || sum != count || twice != 0 {
		t.Errorf("%d of %d were resent, %d not once: %v", sum, count, twice, err)
	}
}
