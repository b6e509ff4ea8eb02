package civil_test

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/civil"
)

func day(year int, month time.Month, d int) civil.Date {
	return civil.Date{Year: year, Month: month, Day: d}
}

// dates draws valid dates of four centuries, so that every leap rule occurs.
func dates() *rapid.Generator[civil.Date] {
	return rapid.Custom(func(t *rapid.T) civil.Date {
		return day(1900, time.January, 1).AddDays(rapid.IntRange(0, 146_097).Draw(t, "day"))
	})
}

func TestOfTakesTheCalendarOfTheZone(t *testing.T) {
	t.Parallel()
	instant := time.Date(2026, time.November, 22, 17, 0, 0, 0, time.UTC)
	if got := civil.Of(instant, civil.Jakarta()); got != day(2026, time.November, 23) {
		t.Errorf("17:00 UTC is %v in Jakarta, want the next day", got)
	}
	if got := civil.Of(instant.Add(-time.Nanosecond), civil.Jakarta()); got != day(2026, time.November, 22) {
		t.Errorf("a nanosecond before midnight in Jakarta is %v", got)
	}
	if got := day(2026, time.November, 23).In(civil.Jakarta()); !got.Equal(instant) {
		t.Errorf("the day starts at %v, want %v", got, instant)
	}
}

func TestParseAcceptsOneForm(t *testing.T) {
	t.Parallel()
	valid := map[string]civil.Date{
		"2026-11-22": day(2026, time.November, 22),
		"2028-02-29": day(2028, time.February, 29),
		"0001-01-01": day(1, time.January, 1),
		"9999-12-31": day(9999, time.December, 31),
	}
	for text, want := range valid {
		if got, err := civil.Parse(text); err != nil || got != want || got.String() != text {
			t.Errorf("Parse(%q) = %v, %v", text, got, err)
		}
	}
	invalid := []string{
		"", "2026-2-1", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-04-31",
		"0000-00-00", "0000-01-01", "20261122", "2026/11/22", " 2026-11-22", "2026-11-22 ", "2026-11-22T00:00:00Z",
		"-026-11-22", "12026-11-22", "2026-11-22.5",
	}
	for _, text := range invalid {
		if got, err := civil.Parse(text); !errors.Is(err, civil.ErrSyntax) {
			t.Errorf("Parse(%q) = %v, %v; want ErrSyntax", text, got, err)
		}
	}
}

func TestValidKnowsTheCalendar(t *testing.T) {
	t.Parallel()
	for _, d := range []civil.Date{day(2024, 2, 29), day(2000, 2, 29), day(2026, 12, 31), day(1, 1, 1)} {
		if !d.Valid() {
			t.Errorf("%v is called invalid", d)
		}
	}
	for _, d := range []civil.Date{
		{}, day(2026, 2, 29), day(1900, 2, 29), day(2026, 13, 1), day(2026, 0, 1), day(2026, 4, 31),
		day(2026, 1, 0), day(2026, 1, -1), day(0, 1, 1), day(10000, 1, 1),
	} {
		if d.Valid() {
			t.Errorf("%v is called valid", d)
		}
	}
}

func TestAddMonthsClampsAndReturnsToTheAnchor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		anchor int
		want   []string // from January 2027, month by month
	}{
		{31, []string{"2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"}},
		{30, []string{"2027-01-30", "2027-02-28", "2027-03-30", "2027-04-30", "2027-05-30"}},
		{29, []string{"2027-01-29", "2027-02-28", "2027-03-29", "2027-04-29", "2027-05-29"}},
		{5, []string{"2027-01-05", "2027-02-05", "2027-03-05", "2027-04-05", "2027-05-05"}},
	}
	for _, tt := range tests {
		start := day(2027, time.January, 17)
		chained := start
		for n, want := range tt.want {
			if got := start.AddMonths(n, tt.anchor); got.String() != want {
				t.Errorf("anchor %d, %d months on: %v, want %s", tt.anchor, n, got, want)
			}
			// The clamped date of one month leads to the anchor of the next.
			if n > 0 {
				chained = chained.AddMonths(1, tt.anchor)
				if chained.String() != want {
					t.Errorf("anchor %d chained %d times: %v, want %s", tt.anchor, n, chained, want)
				}
			}
		}
	}
	more := []struct {
		from      civil.Date
		n, anchor int
		want      string
	}{
		{day(2027, 12, 31), 2, 31, "2028-02-29"},
		{day(2027, 3, 31), -1, 31, "2027-02-28"},
		{day(2027, 1, 31), -13, 31, "2025-12-31"},
		{day(2027, 1, 31), 12, 0, "2028-01-31"},
		{day(2027, 1, 31), 1, -3, "2027-02-28"},
		{day(2027, 1, 31), 3, 99, "2027-04-30"},
	}
	for _, tt := range more {
		if got := tt.from.AddMonths(tt.n, tt.anchor); got.String() != tt.want {
			t.Errorf("%v + %d months, anchor %d: %v, want %s", tt.from, tt.n, tt.anchor, got, tt.want)
		}
	}
}

func TestAddMonthsMovesByWholeMonths(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := dates().Draw(t, "date")
		n := rapid.IntRange(-600, 600).Draw(t, "n")
		anchor := rapid.IntRange(1, 31).Draw(t, "anchor")
		got := d.AddMonths(n, anchor)
		if !got.Valid() || got.Day > anchor {
			t.Fatalf("%v + %d months, anchor %d: %v", d, n, anchor, got)
		}
		if months := 12*(got.Year-d.Year) + int(got.Month-d.Month); months != n {
			t.Fatalf("moved by %d months, want %d", months, n)
		}
		if next := got.AddDays(1); got.Day < anchor && next.Day != 1 {
			t.Fatalf("%v is below anchor %d but not the end of its month", got, anchor)
		}
	})
}

func TestDaysAndOrderAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := dates().Draw(t, "date")
		n := rapid.IntRange(-200_000, 200_000).Draw(t, "n")
		other := d.AddDays(n)
		if got := d.DaysUntil(other); got != n {
			t.Fatalf("%v to %v is %d days, want %d", d, other, got, n)
		}
		if d.Before(other) != (n > 0) || d.After(other) != (n < 0) || d.Equal(other) != (n == 0) ||
			d.Compare(other) != -other.Compare(d) {
			t.Fatalf("order of %v and %v is wrong", d, other)
		}
	})
	if got := day(1, 1, 1).DaysUntil(day(9999, 12, 31)); got != 3_652_058 {
		t.Errorf("all of the calendar is %d days, want 3652058", got)
	}
	if !(civil.Date{}).Before(day(1, 1, 1)) || !(civil.Date{}).IsZero() {
		t.Error("the zero Date does not sort first")
	}
}

func TestDays30360FollowsTheBondBasis(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to string
		want     int
	}{
		{"2026-01-15", "2026-02-15", 30},
		{"2026-01-01", "2027-01-01", 360},
		{"2026-01-31", "2026-03-31", 60},
		{"2026-01-30", "2026-03-31", 60},
		{"2026-01-29", "2026-03-31", 62},
		{"2026-01-31", "2026-02-28", 28},
		{"2026-02-28", "2026-03-31", 30},
		{"2026-02-28", "2026-03-28", 28},
		{"2027-02-28", "2028-02-29", 360},
		{"2028-02-29", "2029-02-28", 360},
		{"2028-02-28", "2028-03-01", 3},
		{"2028-02-29", "2028-03-01", 1},
		{"2026-03-31", "2026-04-30", 30},
		{"2026-11-22", "2026-11-22", 0},
		{"2026-02-15", "2026-01-15", -30},
	}
	for _, tt := range tests {
		from, errFrom := civil.Parse(tt.from)
		to, errTo := civil.Parse(tt.to)
		if err := errors.Join(errFrom, errTo); err != nil {
			t.Fatal(err)
		}
		if got := civil.Days30360(from, to); got != tt.want {
			t.Errorf("%s to %s: %d days, want %d", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	type due struct {
		Date civil.Date `json:"date"`
	}
	data, err := json.Marshal(due{day(2026, time.November, 22)})
	if want := `{"date":"2026-11-22"}`; err != nil || string(data) != want {
		t.Fatalf("Marshal = %s, %v; want %s", data, err, want)
	}
	var back due
	if err := json.Unmarshal(data, &back); err != nil || back.Date != day(2026, time.November, 22) {
		t.Errorf("reads back as %v, %v", back, err)
	}
	data, err = json.Marshal(due{})
	if want := `{"date":""}`; err != nil || string(data) != want {
		t.Errorf("the zero Date marshals as %s, %v", data, err)
	}
	if err := json.Unmarshal(data, &back); err != nil || !back.Date.IsZero() {
		t.Errorf("empty text reads as %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"date":"2026-02-30"}`), &back); !errors.Is(err, civil.ErrSyntax) {
		t.Errorf("30 February: %v, want ErrSyntax", err)
	}
	if _, err := json.Marshal(due{day(2026, 2, 30)}); !errors.Is(err, civil.ErrSyntax) {
		t.Errorf("30 February marshals: %v, want ErrSyntax", err)
	}
}

func TestScanReadsWhatDriversGive(t *testing.T) {
	t.Parallel()
	want := day(2026, time.November, 22)
	for _, src := range []any{
		time.Date(2026, time.November, 22, 0, 0, 0, 0, time.UTC),
		time.Date(2026, time.November, 22, 0, 0, 0, 0, civil.Jakarta()),
		[]byte("2026-11-22"),
		"2026-11-22",
	} {
		var d civil.Date
		if err := d.Scan(src); err != nil || d != want {
			t.Errorf("Scan(%T) = %v, %v; want %v", src, d, err, want)
		}
	}
	d := want
	if err := d.Scan(nil); err != nil || !d.IsZero() {
		t.Errorf("NULL reads as %v, %v", d, err)
	}
	for _, src := range []any{"", "0000-00-00", []byte("2026-11-22 00:00:00"), int64(20261122), true} {
		d := want
		if err := d.Scan(src); err == nil || d != want {
			t.Errorf("Scan(%v) = %v, %v; want an error and no change", src, d, err)
		}
	}
}

func TestValueIsTextOrNull(t *testing.T) {
	t.Parallel()
	var _ driver.Valuer = civil.Date{}
	if v, err := day(2026, time.November, 22).Value(); err != nil || v != "2026-11-22" {
		t.Errorf("Value = %v, %v", v, err)
	}
	if v, err := (civil.Date{}).Value(); err != nil || v != nil {
		t.Errorf("Value of the zero Date = %v, %v; want NULL", v, err)
	}
	if _, err := day(2026, 2, 30).Value(); !errors.Is(err, civil.ErrSyntax) {
		t.Errorf("Value of 30 February: %v, want ErrSyntax", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"2026-11-22", "2026-02-29", "0000-01-01", "2026-11-22.1", "９999-01-01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := civil.Parse(s)
		if err != nil {
			return
		}
		if !d.Valid() || d.String() != s {
			t.Errorf("Parse(%q) = %v", s, d)
		}
	})
}
