package domain

import (
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

func TestAnAgreementWritesFiguresAsEachLanguageDoes(t *testing.T) {
	t.Parallel()
	id, en := indonesian(), english()
	for _, c := range []struct{ got, want string }{
		{id.amount(money.New(1_234_567, money.IDR())), "Rp 1.234.567"}, {en.amount(money.New(1_234_567, money.IDR())), "IDR 1,234,567"},
		{id.amount(money.New(999, money.IDR())), "Rp 999"}, {id.amount(money.New(0, money.IDR())), "Rp 0"},
		{en.amount(money.New(-1_000, money.IDR())), "IDR -1,000"},
		{id.percent(29_500), "2,95 %"}, {en.percent(769_710), "76.971 %"}, {en.percent(50_000), "5 %"}, {id.percent(1), "0,0001 %"}, {en.percent(1_000_000), "100 %"},
		{id.date(civil.Date{Year: 2026, Month: time.August, Day: 5}), "5 Agustus 2026"}, {en.date(civil.Date{Year: 2026, Month: time.August, Day: 5}), "5 August 2026"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestAnAgreementTellsTheLateFeeOfItsProduct(t *testing.T) {
	t.Parallel()
	products := DefaultProducts(money.IDR())
	none := products[0]
	none.Servicing.Late = LateRule{Basis: LateNone, WaiveBelow: money.Zero(money.IDR())}
	graced := products[0]
	graced.Servicing.GraceDays, graced.Servicing.Late.WaiveBelow = 3, money.New(5_000, money.IDR())
	for _, c := range []struct {
		product Product
		want    []string
	}{
		{products[0], []string{"5 % of the unpaid instalment for each month", "do not exceed 100 %"}},
		{products[1], []string{"0.1 % of the unpaid instalment for each day"}},
		{none, []string{"There is no late fee."}},
		{graced, []string{"during the first 3 days", "less than IDR 5,000"}},
	} {
		a := Agreement{Product: c.product, SignTime: time.Date(2026, 4, 10, 0, 0, 0, 0, time.UTC), Plan: Plan{TenorMonths: 3}}
		for _, want := range c.want {
			if got := a.late(english()); !strings.Contains(got, want) {
				t.Errorf("%q does not say %q", got, want)
			}
		}
	}
}

func TestTheContentHashIsOfEveryCell(t *testing.T) {
	t.Parallel()
	text := []Block{{BlockField, []string{"a", "b"}}, {BlockText, []string{"c"}}}
	// printf 'a\tb\nc\n' | sha256sum
	if got, want := ContentHash(text), "546614062a18008e08b563073424c00f45c808b93228142eebd3dcf2ac9f63e2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, other := range [][]Block{{{BlockField, []string{"ab", ""}}, {BlockText, []string{"c"}}}, {{BlockField, []string{"a", "b"}}}, {{BlockText, []string{"c"}}, {BlockField, []string{"a", "b"}}}} {
		if ContentHash(other) == ContentHash(text) {
			t.Errorf("%v has the same hash", other)
		}
	}
}

func TestASignerIsMaskedAndChecked(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Budi Santoso": "B*** S***", "Sukarno": "S***", "Élodie  de la Cruz": "É*** d*** l*** C***", "": ""} {
		if got := MaskName(name); got != want {
			t.Errorf("%q is masked as %q, want %q", name, got, want)
		}
	}
	for phone, want := range map[string]string{"+6281234567123": "+62 8** *** *123", "+123": "***", "": "***"} {
		if got := MaskPhone(phone); got != want {
			t.Errorf("%q is masked as %q, want %q", phone, got, want)
		}
	}
	for _, good := range []string{"Budi", "R. A. Kartini", "O'Neill-Santoso", "Renée"} {
		if err := CheckSigner(good, "+6281234567123"); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range [][2]string{{"", "+6281234567123"}, {" Budi", "+6281234567123"}, {"Bu\ndi", "+6281234567123"}, {"...", "+6281234567123"},
		{strings.Repeat("a", 101), "+6281234567123"}, {"Budi", "081234567123"}, {"Budi", "+0812345678"}, {"Budi", "+62"}, {"Budi", "+62812345671234567"}, {"Budi", "+62812x4567"}} {
		if err := CheckSigner(bad[0], bad[1]); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
