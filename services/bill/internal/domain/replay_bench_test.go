package domain

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// BenchmarkReplay is the cost of one loan on a bill day: twelve months, five paid
// in time.
func BenchmarkReplay(b *testing.B) {
	p := DefaultProducts(money.IDR())[0]
	from := civil.Date{Year: 2026, Month: 4, Day: 10}
	plan, err := BuildPlan(p, 12, rp(1_200_000), from)
	if err != nil {
		b.Fatal(err)
	}
	terms := Contract{Product: p, Plan: plan, Start: from}
	var facts []Fact
	for i, in := range plan.Instalments[:5] {
		facts = append(facts, Fact{ids.ID{byte(i + 1)}, FactRepaid, in.DueDate, in.Total})
	}
	for name, asOf := range map[string]int{"paid in time": 5, "months late": 11} {
		b.Run(name, func(b *testing.B) {
			date := plan.Instalments[asOf].DueDate.AddDays(-5)
			for b.Loop() {
				if _, err := Replay(terms, facts, date); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
