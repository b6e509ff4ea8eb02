package domain

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/creditpay/creditpay/pkg/civil"
)

// day reads a date that the test wrote.
func day(t *testing.T, s string) civil.Date {
	t.Helper()
	d, err := civil.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The pairs of days are those that SPayLater publishes; the bill of 25 Apr 2021
// due on 5 May is the dated example of grid.id.
func TestDueDatesOfPublishedBillDays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name            string
		bill, due       int
		confirmed       string
		firstBill, want string
		second          string
	}{
		{"grid.id, first day of the cycle", 25, 5, "2021-03-25", "2021-04-25", "2021-05-05", "2021-06-05"},
		{"grid.id, last day of the cycle", 25, 5, "2021-04-24", "2021-04-25", "2021-05-05", "2021-06-05"},
		{"grid.id, next cycle", 25, 5, "2021-04-25", "2021-05-25", "2021-06-05", "2021-07-05"},
		{"1 to 11, last day", 1, 11, "2021-03-31", "2021-04-01", "2021-04-11", "2021-05-11"},
		{"1 to 11, first day", 1, 11, "2021-03-01", "2021-04-01", "2021-04-11", "2021-05-11"},
		{"15 to 25", 15, 25, "2021-12-15", "2022-01-15", "2022-01-25", "2022-02-25"},
		{"21 to 1, over new year", 21, 1, "2021-12-20", "2021-12-21", "2022-01-01", "2022-02-01"},
		{"bill day moved to the end of February", 31, 5, "2023-02-27", "2023-02-28", "2023-03-05", "2023-04-05"},
		{"bill on the end of February is closed", 31, 5, "2023-02-28", "2023-03-31", "2023-04-05", "2023-05-05"},
	} {
		p := Product{BillDay: tc.bill, DueDay: tc.due}
		if got := BillDates(p, day(t, tc.confirmed), 1); got[0] != day(t, tc.firstBill) {
			t.Errorf("%s: bill on %s, want %s", tc.name, got[0], tc.firstBill)
		}
		want := []civil.Date{day(t, tc.want), day(t, tc.second)}
		if diff := cmp.Diff(want, DueDates(p, day(t, tc.confirmed), 2)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestDueDayClampsAndReturns(t *testing.T) {
	t.Parallel()
	p := Product{BillDay: 20, DueDay: 31}
	var got []string
	for _, d := range DueDates(p, day(t, "2024-01-05"), 5) {
		got = append(got, d.String())
	}
	want := []string{"2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if DueDates(p, day(t, "2024-01-05"), 0) != nil {
		t.Error("no instalment has a due date")
	}
}
