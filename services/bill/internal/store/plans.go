package store

import (
	"encoding/json"
	"fmt"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// storedPlan is the part of a plan that has no column of its own. Amounts are minor
// units of the loan's currency. Its names are part of the database: fields may be
// added, never renamed or given another meaning.
type storedPlan struct {
	Method        domain.InterestMethod `json:"interest_method"`
	MonthlyRate   int64                 `json:"monthly_rate_ppm"`
	EffectiveRate int64                 `json:"effective_annual_rate_ppm"`
	DownPayment   int64                 `json:"down_payment_minor"`
	Instalments   []storedInstalment    `json:"instalments"`
}

type storedInstalment struct {
	DueDate   civil.Date `json:"due_date"`
	Principal int64      `json:"principal_minor"`
	Interest  int64      `json:"interest_minor"`
	Fee       int64      `json:"fee_minor"`
}

// encodePlan is the stored form of a checked plan.
func encodePlan(p domain.Plan) ([]byte, error) {
	s := storedPlan{
		Method: p.Method, MonthlyRate: p.MonthlyRatePPM, EffectiveRate: p.EffectiveAnnualRatePPM,
		DownPayment: p.DownPayment.Minor(), Instalments: make([]storedInstalment, len(p.Instalments)),
	}
	for i, in := range p.Instalments {
		s.Instalments[i] = storedInstalment{
			DueDate: in.DueDate, Principal: in.Principal.Minor(), Interest: in.Interest.Minor(), Fee: in.Fee.Minor(),
		}
	}
	return json.Marshal(s)
}

// decodePlan adds to a plan what encodePlan wrote. The plan has the sums and the
// product already, from the row's columns: Plan.Check then compares the two.
func decodePlan(p *domain.Plan, data []byte, of func(int64) money.Amount) error {
	var s storedPlan
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read stored plan: %w", err)
	}
	p.Method, p.MonthlyRatePPM, p.EffectiveAnnualRatePPM = s.Method, s.MonthlyRate, s.EffectiveRate
	p.DownPayment = of(s.DownPayment)
	p.Instalments = make([]domain.Instalment, len(s.Instalments))
	for i, in := range s.Instalments {
		parts := domain.Instalment{
			Sequence: i + 1, DueDate: in.DueDate,
			Principal: of(in.Principal), Interest: of(in.Interest), Fee: of(in.Fee),
		}
		var err error
		if parts.Total, err = money.Sum(parts.Principal.Currency(), parts.Principal, parts.Interest, parts.Fee); err != nil {
			return fmt.Errorf("read stored plan: %w", err)
		}
		p.Instalments[i] = parts
	}
	return nil
}
