package domain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// compareMoney lets cmp compare amounts and currencies, which are comparable values.
func compareMoney() cmp.Options {
	return cmp.Options{
		cmp.Comparer(func(a, b money.Amount) bool { return a == b }),
		cmp.Comparer(func(a, b money.Currency) bool { return a == b }),
	}
}

func TestDefaultProductsAreValidAndSurviveStorage(t *testing.T) {
	t.Parallel()
	for _, p := range DefaultProducts(money.IDR()) {
		p.Businesses = []string{"marketplace"}
		p.FeeFixed, p.DownPaymentPPM = rp(1_000), 100_000
		p.Servicing.GraceDays, p.Servicing.AccountStates = 3, AccountStateList{AccountActive, AccountOverdue}
		p.Servicing.Order, p.Servicing.Mode = []Part{PartPrincipal, PartFee, PartInterest, PartLate}, Vertical
		p.Servicing.Refund = RefundRule{RefundPastDueFirst, StrategyReamortize, RefundInterestAll}
		p.Servicing.Late.WaiveBelow, p.DayCount, p.Servicing.Settlement = rp(5_000), Actual360, SettleKeepAll
		first, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Product
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, back, compareMoney()); diff != "" {
			t.Errorf("%s changed in storage:\n%s", p.Code, diff)
		}
		again, err := json.Marshal(back)
		if err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s is stored differently again: %v\n%s\n%s", p.Code, err, first, again)
		}
	}
}

// The stored form is read by later binaries: a change here needs a migration.
func TestStoredFormIsPinned(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(DefaultProducts(money.IDR())[1])
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"code":"SPL_ID_REDUCING","version":1,"name":"SPayLater reducing balance","currency_code":"IDR",` +
		`"interest_method":"DECLINING_EQUAL_INSTALMENT","tenors":[` +
		`{"months":3,"rate_ppm":"240000","rate_period":"PER_YEAR"},` +
		`{"months":6,"rate_ppm":"240000","rate_period":"PER_YEAR"},` +
		`{"months":12,"rate_ppm":"240000","rate_period":"PER_YEAR"}],` +
		`"fee_rate_ppm":"10000","fee_fixed":{"amount_minor":"0","currency_code":"IDR"},"fee_timing":"FIRST_INSTALMENT",` +
		`"rounding":"HALF_UP","rounding_multiple_minor":"1","remainder_to":"LAST","day_count":"30_360",` +
		`"min_amount":{"amount_minor":"10000","currency_code":"IDR"},"max_amount":{"amount_minor":"50000000","currency_code":"IDR"},` +
		`"bill_day":25,"due_day":5,"location":"Asia/Jakarta","down_payment_ppm":"0","effective_time":"2026-01-01T00:00:00Z",` +
		`"contract_version":"2026-01","servicing":{"grace_days":0,` +
		`"late":{"basis":"PER_DAY","rate_ppm":"1000","waive_below":{"amount_minor":"0","currency_code":"IDR"}},` +
		`"caps":[{"from":"2025-01-01","max_months":6,"per_day_ppm":"3000","total_ppm":"1000000"},` +
		`{"from":"2025-01-01","max_months":0,"per_day_ppm":"2000","total_ppm":"1000000"}],` +
		`"allocation_order":["LATE","FEE","INTEREST","PRINCIPAL"],"allocation_mode":"HORIZONTAL","prepayment_strategy":"NEXT",` +
		`"refund":{"order":"UNBILLED_FIRST","strategy":"LAST","interest":"UNBILLED"},"settlement_interest":"TILL_PRECLOSE"}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("stored form changed (-want +got):\n%s", diff)
	}
}

func TestStorageRefusesWhatIsNotAProduct(t *testing.T) {
	t.Parallel()
	good, err := json.Marshal(DefaultProducts(money.IDR())[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"FLAT_PER_MONTH"`, `"FLAT"`}, {`"HALF_UP"`, `"NEAREST"`}, {`"LAST"`, `"MIDDLE"`}, {`"30_360"`, `"ACT_ACT"`},
		{`"currency_code":"IDR","interest_method"`, `"currency_code":"XXX","interest_method"`},
		{`"PER_MONTH"`, `"PER_DAY"`}, {`"bill_day":25`, `"bill_day":5`}, {`"FIRST_INSTALMENT"`, `""`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("nothing to change: %s", change[0])
		}
		var p Product
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("read a product with %s", change[1])
		}
	}
	if _, err := json.Marshal(Product{}); err == nil {
		t.Error("an empty product can be stored")
	}
}

func TestValidateListsEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Product)
		want   string
	}{
		{"code", func(p *Product) { p.Code = "" }, "code must have"},
		{"version", func(p *Product) { p.Version = 0 }, "version must be"},
		{"method", func(p *Product) { p.Method = 9 }, "interest method is unknown: 9"},
		{"no tenor", func(p *Product) { p.Tenors = nil }, "no tenor"},
		{"order", func(p *Product) { p.Tenors = []Tenor{{3, 1, PerMonth}, {3, 1, PerMonth}} }, "tenors must rise"},
		{"rate", func(p *Product) { p.Tenors = []Tenor{{3, MaxRatePPM + 1, PerMonth}} }, "tenor 3: rate must be"},
		{"period", func(p *Product) { p.Tenors = []Tenor{{3, 1, PerTransaction}} }, "does not take a rate PER_TRANSACTION"},
		{"zero", func(p *Product) { p.Method = Zero }, "takes no rate"},
		{"rounding", func(p *Product) { p.Rounding = 0 }, "rounding is unknown"},
		{"multiple", func(p *Product) { p.RoundingMultiple = 0 }, "rounding multiple must be"},
		{"first", func(p *Product) { p.Method, p.RemainderTo = DecliningEqualInstalment, RemainderFirst }, "FIRST does not work"},
		{"day count", func(p *Product) { p.DayCount = 4 }, "day count is unknown: 4"},
		{"currency", func(p *Product) { p.MinAmount = usd(1) }, "smallest amount must be in IDR, is in USD"},
		{"bounds", func(p *Product) { p.MinAmount, p.MaxAmount = p.MaxAmount, p.MinAmount }, "above the largest"},
		{"fee", func(p *Product) { p.FeeRatePPM = -1 }, "fee rate must be"},
		{"down payment", func(p *Product) { p.DownPaymentPPM = money.PPM }, "down payment must be"},
		{"days", func(p *Product) { p.BillDay = 32 }, "bill day must be 1 to 31"},
		{"february", func(p *Product) { p.BillDay, p.DueDay = 29, 31 }, "fall together in February"},
		{"zone", func(p *Product) { p.Location = "UTC" }, "location must be Asia/Jakarta"},
	} {
		p := DefaultProducts(money.IDR())[0]
		tc.change(&p)
		err := p.Validate()
		if !errs.Is(err, errs.InvalidArgument) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	p := DefaultProducts(money.IDR())[0]
	p.Code, p.BillDay = "", 0
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "code") || !strings.Contains(err.Error(), "bill day") {
		t.Errorf("two faults, got %v", err)
	}
}

func TestEligibleAndTenorOf(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Businesses = []string{"marketplace"}
	for _, tc := range []struct {
		business string
		amount   money.Amount
		want     errs.Reason // zero for eligible
	}{
		{"marketplace", rp(10_000), errs.Reason{}},
		{"marketplace", rp(50_000_000), errs.Reason{}},
		{"marketplace", rp(9_999), errs.ProductNotEligible},
		{"marketplace", rp(50_000_001), errs.ProductNotEligible},
		{"food", rp(10_000), errs.ProductNotEligible},
		{"marketplace", usd(10_000), errs.CurrencyMismatch},
	} {
		err := p.Eligible(tc.business, tc.amount)
		if got, _ := errs.ReasonOf(err); got != tc.want {
			t.Errorf("%s %s: got %v", tc.business, tc.amount, err)
		}
	}
	if tenor, err := p.TenorOf(6); err != nil || tenor.Months != 6 {
		t.Errorf("tenor of 6: %v, %v", tenor, err)
	}
	if _, err := p.TenorOf(2); !errs.Is(err, errs.TenorNotOffered) {
		t.Errorf("tenor of 2: %v", err)
	}
}

func TestSplitPriceKeepsThePrice(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.DownPaymentPPM = 150_000
	down, financed, err := p.SplitPrice(rp(100_003))
	if err != nil || down != rp(15_000) || financed != rp(85_003) {
		t.Errorf("got %s down, %s financed, %v", down, financed, err)
	}
}

func TestMonthlyRateIsATwelfthOrSpread(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		tenor Tenor
		want  int64
	}{
		{Tenor{12, 29_500, PerMonth}, 29_500},
		{Tenor{12, 240_000, PerYear}, 20_000},
		{Tenor{6, 94_822, PerYear}, 7_902}, // 7901.83
		{Tenor{3, 29_500, PerTransaction}, 9_833},
	} {
		if got := tc.tenor.MonthlyRatePPM(); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.tenor, got, tc.want)
		}
	}
}
