// Package civil owns calendar dates without a time of day: due dates, bill days
// and business days, and the day counts of credit arithmetic.
//
// It must not read the clock, must not know holidays or product rules, and must
// not depend on the machine's time zone or on an installed zone database.
package civil

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// ErrSyntax is returned for text that is not a valid date as YYYY-MM-DD.
var ErrSyntax = errors.New("not a date of the form YYYY-MM-DD")

// layout is ISO 8601's extended calendar date, which MariaDB's DATE uses too.
const layout = "2006-01-02"

// jakarta is never changed after start; a shared value keeps the pointer equal.
var jakarta = time.FixedZone("WIB", 7*60*60)

// Jakarta is western Indonesian time, UTC+7. Indonesia has had no daylight
// saving time since 1964, so a fixed zone is right for every date we handle and
// works where no zone database is installed.
func Jakarta() *time.Location { return jakarta }

// Date is a day of the proleptic Gregorian calendar. It is a comparable value:
// == is equality of days for valid dates. The zero Date means "not set"; it is
// not Valid and sorts before every valid date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Of is the date that a calendar in loc shows at t.
func Of(t time.Time, loc *time.Location) Date {
	year, month, day := t.In(loc).Date()
	return Date{year, month, day}
}

// Parse reads a date of exactly the form "2026-11-22". It fails with ErrSyntax
// for any other form and for days that do not exist, such as "2026-02-29".
func Parse(s string) (Date, error) {
	t, err := time.Parse(layout, s)
	if err != nil || len(s) != len(layout) || t.Year() < 1 {
		return Date{}, fmt.Errorf("%w: %.32q", ErrSyntax, s)
	}
	return Of(t, time.UTC), nil
}

// String is the date as "2026-11-22"; "0000-00-00" for the zero Date.
func (d Date) String() string {
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// IsZero reports whether d is the zero Date, "not set".
func (d Date) IsZero() bool { return d == Date{} }

// Valid reports whether d is a day that exists, in the years 1 to 9999.
func (d Date) Valid() bool {
	return d.Year >= 1 && d.Year <= 9999 &&
		d.Month >= time.January && d.Month <= time.December &&
		d.Day >= 1 && d.Day <= daysIn(d.Year, d.Month)
}

// In is the first instant of d in loc, midnight. Where a clock change skips
// midnight it is the instant package time chooses, which is on d or one hour
// before it; the zones we use have no clock changes.
func (d Date) In(loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}

// AddDays is d moved by n days; n may be negative.
func (d Date) AddDays(n int) Date {
	return Of(time.Date(d.Year, d.Month, d.Day+n, 0, 0, 0, 0, time.UTC), time.UTC)
}

// AddMonths is the day anchorDay (1 to 31) of the month that lies n months after
// d's month, or that month's last day when it is shorter. Only d's year and
// month count, so a series computed with one anchor clamps in short months and
// returns to the anchor afterwards: with anchor 31, 31 January gives
// 28 February and then 31 March.
//
// An anchorDay below 1 means d's own day. Do not chain that over several months:
// it drifts to 28 after the first February.
func (d Date) AddMonths(n, anchorDay int) Date {
	if anchorDay < 1 {
		anchorDay = d.Day
	}
	// The first of the month exists in every month, so nothing spills over.
	first := time.Date(d.Year, d.Month+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	year, month, _ := first.Date()
	return Date{year, month, min(anchorDay, daysIn(year, month))}
}

// DaysUntil is the number of days from d to other: 1 when other is the day
// after, negative when other is earlier (Actual/365 and Actual/360 count this).
func (d Date) DaysUntil(other Date) int {
	const secondsPerDay = 24 * 60 * 60
	// UTC has no clock changes, so the difference is a whole number of days;
	// seconds instead of a Duration, which overflows after 292 years.
	return int((other.In(time.UTC).Unix() - d.In(time.UTC).Unix()) / secondsPerDay)
}

// Days30360 is the number of days from one date to another when every month has
// 30 days and a year 360: the US "30/360" (NASD, 30U/360) bond basis with its
// end-of-February rule. Source: SIA, Standard Securities Calculation Methods,
// vol. 2; the steps apply in this order:
//
//  1. both are the last day of February: to's day is 30;
//  2. from is the last day of February: from's day is 30;
//  3. to's day is 31 and from's is 30 or 31: to's day is 30;
//  4. from's day is 31: from's day is 30.
func Days30360(from, to Date) int {
	day1, day2 := from.Day, to.Day
	if from.isFebruaryEnd() {
		if to.isFebruaryEnd() {
			day2 = 30
		}
		day1 = 30
	}
	if day2 == 31 && day1 >= 30 {
		day2 = 30
	}
	day1 = min(day1, 30)
	return 360*(to.Year-from.Year) + 30*int(to.Month-from.Month) + day2 - day1
}

// Compare is −1, 0 or +1 as d is before, equal to or after other.
func (d Date) Compare(other Date) int {
	return cmp.Or(
		cmp.Compare(d.Year, other.Year),
		cmp.Compare(d.Month, other.Month),
		cmp.Compare(d.Day, other.Day),
	)
}

// Before reports whether d is earlier than other.
func (d Date) Before(other Date) bool { return d.Compare(other) < 0 }

// After reports whether d is later than other.
func (d Date) After(other Date) bool { return d.Compare(other) > 0 }

// Equal reports whether d and other are the same day.
func (d Date) Equal(other Date) bool { return d == other }

// isFebruaryEnd reports whether d is the last day of a February.
func (d Date) isFebruaryEnd() bool {
	return d.Month == time.February && d.Day == daysIn(d.Year, d.Month)
}

// daysIn is the number of days of a month.
func daysIn(year int, month time.Month) int {
	// Day 0 of the next month is the last day of this one.
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// MarshalText gives "2026-11-22", and nothing for the zero Date. A date that is
// neither zero nor Valid fails with ErrSyntax. JSON uses it too.
func (d Date) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	if !d.Valid() {
		return nil, fmt.Errorf("marshal date: %w: %s", ErrSyntax, d)
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what MarshalText writes; empty text is the zero Date.
func (d *Date) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Value gives a DATE column the text "2026-11-22": text, because a time.Time
// could be moved to another day by the connection's zone. The zero Date is NULL;
// a date that is neither fails with ErrSyntax.
func (d Date) Value() (driver.Value, error) {
	text, err := d.MarshalText()
	if err != nil || text == nil {
		return nil, err
	}
	return string(text), nil
}

// Scan reads a DATE column: a time.Time (its own calendar day, whatever its
// zone), text as []byte or string, or NULL as the zero Date.
func (d *Date) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d = Date{}
		return nil
	case time.Time:
		*d = Of(v, v.Location())
		return nil
	case []byte:
		return d.scanText(string(v))
	case string:
		return d.scanText(v)
	default:
		return fmt.Errorf("scan date: unsupported type %T", src)
	}
}

// scanText is Scan for text, which unlike JSON must not be empty.
func (d *Date) scanText(s string) error {
	parsed, err := Parse(s)
	if err != nil {
		return fmt.Errorf("scan date: %w", err)
	}
	*d = parsed
	return nil
}
