package money_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/money"
)

// currency looks up a code that the test knows to exist.
func currency(t testing.TB, code string) money.Currency {
	t.Helper()
	c, err := money.CurrencyOf(code)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDecimalAndStringShowEveryDigit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		minor   int64
		code    string
		decimal string
	}{
		{100000, "IDR", "100000"},
		{-7, "IDR", "-7"},
		{1234, "USD", "12.34"},
		{-1234, "USD", "-12.34"},
		{5, "USD", "0.05"},
		{-5, "USD", "-0.05"},
		{0, "USD", "0.00"},
		{100, "USD", "1.00"},
		{1, "KWD", "0.001"},
		{1_500_000, "USDT", "1.500000"},
		{math.MinInt64, "USD", "-92233720368547758.08"},
		{math.MaxInt64, "IDR", "9223372036854775807"},
	}
	for _, tt := range tests {
		a := money.New(tt.minor, currency(t, tt.code))
		if a.Decimal() != tt.decimal || a.String() != tt.code+" "+tt.decimal {
			t.Errorf("%d %s shows as %q and %q, want %q", tt.minor, tt.code, a.Decimal(), a.String(), tt.decimal)
		}
	}
	if got := (money.Amount{}).String(); got != "XXX 0" {
		t.Errorf("the zero Amount shows as %q", got)
	}
}

func TestParseDecimalAcceptsItsGrammarOnly(t *testing.T) {
	t.Parallel()
	valid := []struct {
		text  string
		code  string
		minor int64
	}{
		{"0", "IDR", 0}, {"100000", "IDR", 100000}, {"-3", "IDR", -3},
		{"12.34", "USD", 1234}, {"12.3", "USD", 1230}, {"12", "USD", 1200}, {"0.05", "USD", 5},
		{"-0.05", "USD", -5}, {"1.5", "USDT", 1_500_000},
		{"-92233720368547758.08", "USD", math.MinInt64},
	}
	for _, tt := range valid {
		got, err := money.ParseDecimal(tt.text, currency(t, tt.code))
		if err != nil || got.Minor() != tt.minor {
			t.Errorf("ParseDecimal(%q, %s) = %v, %v; want %d", tt.text, tt.code, got, err, tt.minor)
		}
	}
	invalid := []string{
		"", "-", ".", "+1", " 1", "1 ", "1,000", "01", "00", "-01", "--1", "1.", ".5", "1.234", "1.2.3", "1e3",
		"0x10", "-0", "-0.00", "1.-2", "١", "NaN", "Inf", "1_000", strings.Repeat("1", 25),
	}
	for _, text := range invalid {
		if got, err := money.ParseDecimal(text, money.USD()); !errors.Is(err, money.ErrSyntax) {
			t.Errorf("ParseDecimal(%q) = %v, %v; want ErrSyntax", text, got, err)
		}
	}
	if _, err := money.ParseDecimal("1.0", money.IDR()); !errors.Is(err, money.ErrSyntax) {
		t.Errorf("decimals of IDR: %v, want ErrSyntax", err)
	}
	if _, err := money.ParseDecimal("92233720368547758.08", money.USD()); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("one above the maximum: %v, want ErrOverflow", err)
	}
	if _, err := money.ParseDecimal("1", money.Currency{}); !errors.Is(err, money.ErrUnknownCurrency) {
		t.Errorf("no currency: %v, want ErrUnknownCurrency", err)
	}
}

func TestTextAndJSONRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom([]string{"IDR", "USD", "KWD", "USDT"}).Draw(t, "code")
		c, err := money.CurrencyOf(code)
		if err != nil {
			t.Fatal(err)
		}
		a := money.New(minors().Draw(t, "minor"), c)
		if back, err := money.ParseDecimal(a.Decimal(), c); err != nil || back != a {
			t.Fatalf("%q reads back as %v, %v", a.Decimal(), back, err)
		}
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back money.Amount
		if err := json.Unmarshal(data, &back); err != nil || back != a {
			t.Fatalf("%s reads back as %v, %v", data, back, err)
		}
	})
}

func TestJSONFormIsAStringAndReadsNumbersToo(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(money.New(-123, money.IDR()))
	if want := `{"amount_minor":"-123","currency_code":"IDR"}`; err != nil || string(data) != want {
		t.Errorf("Marshal = %s, %v; want %s", data, err, want)
	}
	var a money.Amount
	in := `{"amount_minor":9223372036854775807,"currency_code":"USD"}`
	if err := json.Unmarshal([]byte(in), &a); err != nil || a != money.New(math.MaxInt64, money.USD()) {
		t.Errorf("%s reads as %v, %v", in, a, err)
	}
	data, err = json.Marshal(money.Amount{})
	if err != nil || string(data) != "null" {
		t.Errorf("the zero Amount marshals as %s, %v; want null", data, err)
	}
	if err := json.Unmarshal([]byte("null"), &a); err != nil || a != (money.Amount{}) {
		t.Errorf("null reads as %v, %v; want the zero Amount", a, err)
	}
	if _, err := json.Marshal(money.New(1, money.Currency{})); !errors.Is(err, money.ErrUnknownCurrency) {
		t.Errorf("a number without currency marshals: %v", err)
	}
}

func TestJSONRefusesWhatIsNotExact(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want error
	}{
		{`{"amount_minor":1.0,"currency_code":"IDR"}`, money.ErrSyntax},
		{`{"amount_minor":1e3,"currency_code":"IDR"}`, money.ErrSyntax},
		{`{"amount_minor":"1.5","currency_code":"USD"}`, money.ErrSyntax},
		{`{"amount_minor":null,"currency_code":"IDR"}`, money.ErrSyntax},
		{`{"amount_minor":true,"currency_code":"IDR"}`, money.ErrSyntax},
		{`{"amount_minor":"","currency_code":"IDR"}`, money.ErrSyntax},
		{`{"currency_code":"IDR"}`, money.ErrSyntax},
		{`{"amount_minor":9223372036854775808,"currency_code":"IDR"}`, money.ErrOverflow},
		{`{"amount_minor":1}`, money.ErrUnknownCurrency},
		{`{"amount_minor":1,"currency_code":"idr"}`, money.ErrUnknownCurrency},
	}
	for _, tt := range tests {
		kept := money.New(42, money.IDR())
		a := kept
		if err := json.Unmarshal([]byte(tt.in), &a); !errors.Is(err, tt.want) || a != kept {
			t.Errorf("%s reads as %v, %v; want %v and no change", tt.in, a, err, tt.want)
		}
	}
	for _, in := range []string{`"IDR 1"`, `12`, `[]`} {
		var a money.Amount
		if err := json.Unmarshal([]byte(in), &a); err == nil {
			t.Errorf("%s reads as %v, want an error", in, a)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, seed := range []string{"0", "12.34", "-0.05", "1.", "-0", "99999999999999999999", "1e5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, code := range []string{"IDR", "USD", "USDT"} {
			c := currency(t, code)
			a, err := money.ParseDecimal(s, c)
			if err != nil {
				continue
			}
			// The canonical form only ever adds missing decimals.
			if !strings.HasPrefix(a.Decimal(), s) {
				t.Errorf("%q became %q", s, a.Decimal())
			}
			if back, err := money.ParseDecimal(a.Decimal(), c); err != nil || back != a {
				t.Errorf("%q reads back as %v, %v", a.Decimal(), back, err)
			}
		}
	})
}

func FuzzUnmarshalJSON(f *testing.F) {
	f.Add([]byte(`{"amount_minor":"1","currency_code":"IDR"}`))
	f.Add([]byte(`{"amount_minor":-1,"currency_code":"USD"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, back money.Amount
		if json.Unmarshal(data, &a) != nil {
			return
		}
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("%s reads but does not marshal: %v", data, err)
		}
		if err := json.Unmarshal(out, &back); err != nil || back != a {
			t.Errorf("%s reads back as %v, %v", out, back, err)
		}
	})
}
