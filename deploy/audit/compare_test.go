package audit

import "testing"

func TestServicesThatAgreeAreSilentAndOthersAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order, payment, loan fact
		agree                bool
	}{
		"paid":                       {fact{"PAID", 5}, fact{"SUCCEEDED", 5}, fact{"DRAFT", 5}, true},
		"confirmed":                  {fact{"CONFIRMED", 5}, fact{"SUCCEEDED", 5}, fact{"ACTIVE", 5}, true},
		"taken back":                 {fact{"CANCELLED", 5}, fact{"REVERSED", 5}, fact{"VOID", 5}, true},
		"failed commit":              {fact{}, fact{}, fact{"VOID", 5}, true},
		"hold without an order":      {fact{}, fact{}, fact{"DRAFT", 5}, false},
		"paid twice as much":         {fact{"PAID", 5}, fact{"SUCCEEDED", 10}, fact{"DRAFT", 10}, false},
		"paid order without payment": {fact{"PAID", 5}, fact{}, fact{"DRAFT", 5}, false},
		"payment without order":      {fact{}, fact{"SUCCEEDED", 5}, fact{"DRAFT", 5}, false},
		"confirmed but still held":   {fact{"CONFIRMED", 5}, fact{"SUCCEEDED", 5}, fact{"DRAFT", 5}, false},
		"cancelled but still held":   {fact{"CANCELLED", 5}, fact{"REVERSED", 5}, fact{"DRAFT", 5}, false},
		"cancel not finished":        {fact{"CANCELLING", 5}, fact{"REVERSING", 5}, fact{"DRAFT", 5}, false},
	} {
		if got := disagreement(c.order, c.payment, c.loan, fact{}); (got == "") != c.agree {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWhatRefundsTookDecidesWhetherALoanMayBeVoid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order, loan string
		refunded    int64
		agree       bool
	}{
		"nothing refunded":                 {"PAID", "VOID", 0, false},
		"a part refunded":                  {"PAID", "VOID", 4, false},
		"all refunded":                     {"PAID", "VOID", 5, true},
		"all refunded and closed":          {"CLOSED", "VOID", 5, true},
		"all refunded, then confirmed":     {"CONFIRMED", "VOID", 5, true},
		"confirmed, a part refunded":       {"CONFIRMED", "VOID", 4, false},
		"more refunded than was paid":      {"CONFIRMED", "ACTIVE", 6, false},
		"a part of a running loan":         {"CONFIRMED", "ACTIVE", 4, true},
		"closed while it runs":             {"CLOSED", "ACTIVE", 0, false},
		"all refunded but interest owed":   {"CLOSED", "OVERDUE", 5, true},
		"closed without being refunded":    {"CLOSED", "VOID", 0, false},
		"written off but closed":           {"CLOSED", "WRITTEN_OFF", 0, false},
		"written off, refunded and closed": {"CLOSED", "WRITTEN_OFF", 5, true},
	} {
		if got := disagreement(fact{c.order, 5}, fact{"SUCCEEDED", 5}, fact{c.loan, 5}, fact{"REFUNDED", c.refunded}); (got == "") != c.agree {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seen  []fact
		agree bool
	}{
		"one user":           {[]fact{{"beta~u1", 0}, {"beta~u1", 0}, {"beta~u1", 0}, {"beta~u1", 0}}, true},
		"not paid":           {[]fact{{"u1", 0}, {}, {}, {}}, true},
		"other marketplace":  {[]fact{{"beta~u1", 0}, {"u1", 0}, {}, {}}, false},
		"another's loan":     {[]fact{{"u1", 0}, {"u1", 0}, {"u2", 0}, {}}, false},
		"loans of two":       {[]fact{{"u1", 0}, {"u1", 0}, {"u1", 1}, {}}, false},
		"another's refund":   {[]fact{{"u1", 0}, {"u1", 0}, {"u1", 0}, {"u2", 0}}, false},
		"refunds of several": {[]fact{{"u1", 0}, {"u1", 0}, {"u1", 0}, {"u1", 2}}, false},
	} {
		if got := strangers(c.seen); (got == "") != c.agree {
			t.Errorf("%s: %q", name, got)
		}
	}
}
