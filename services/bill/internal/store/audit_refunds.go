package store

import "github.com/creditpay/creditpay/pkg/audit"

// refundChecks compare the records of refunds with what they did to loans, facts and the journal.
func refundChecks() []audit.Check {
	return []audit.Check{
		{Name: "refund_fact", Rule: "a refund of a loan that has begun is a fact of it, of the same amount; of a draft there is none",
			Query: `SELECT CONCAT('rfd:', HEX(r.refund_id)), CONCAT('of kind ', r.kind, ' and ', r.amount_minor, ' has a fact of ', COALESCE(f.amount_minor, 0))
				FROM loan_refunds r LEFT JOIN loan_facts f ON f.loan_id = r.loan_id AND f.fact_id = r.refund_id AND f.kind = 3 AND f.void_time IS NULL
				WHERE COALESCE(f.amount_minor, 0) <> IF(r.kind = 3, r.amount_minor, 0)`},
		{Name: "fact_refund", Rule: "every fact of a refund has its record",
			Query: `SELECT CONCAT('rfd:', HEX(f.fact_id)), CONCAT('of ', f.amount_minor, ' has no record')
				FROM loan_facts f LEFT JOIN loan_refunds r ON r.refund_id = f.fact_id AND r.loan_id = f.loan_id WHERE f.kind = 3 AND r.refund_id IS NULL`},
		{Name: "loan_refunds", Rule: "what refunds took from a draft, and from the loan since it began, is the sum of their records; a draft that was taken back is void",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('shrunk by ', l.shrunk_minor, ' and refunded ', l.refunded_minor, ', its refunds are ',
					COALESCE(r.shrunk, 0), ', ', COALESCE(r.begun, 0), ' and ', COALESCE(r.voided, 0), ' that took it back in state ', l.state)
				FROM loans l LEFT JOIN (SELECT loan_id, SUM(IF(kind = 1, amount_minor, 0)) AS shrunk, SUM(IF(kind = 2, amount_minor, 0)) AS voided,
					SUM(IF(kind = 3, amount_minor, 0)) AS begun FROM loan_refunds GROUP BY loan_id) r ON r.loan_id = l.id
				WHERE l.shrunk_minor <> COALESCE(r.shrunk, 0) OR l.refunded_minor <> COALESCE(r.begun, 0)
					OR (r.voided > 0 AND (l.state <> 5 OR r.voided <> l.principal_minor))`},
		{Name: "loan_refunded", Rule: "what refunds took back of a loan that has begun is the cancelled principal of its instalments",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('refunded ', l.refunded_minor, ', cancelled ', i.cancelled)
				FROM loans l JOIN (SELECT loan_id, SUM(cancelled_principal_minor) AS cancelled FROM instalments GROUP BY loan_id) i ON i.loan_id = l.id
				WHERE i.cancelled <> l.refunded_minor`},
		{Name: "loan_payable", Rule: "what a loan's refunds give back by repayments is what of their sources was not kept as credit balance",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('payable ', l.payable_minor, ', its sources are ', COALESCE(s.payable, 0))
				FROM loans l LEFT JOIN (SELECT loan_id, SUM(IF(keep_time IS NULL, amount_minor, 0)) AS payable FROM refund_sources GROUP BY loan_id) s
					ON s.loan_id = l.id
				WHERE l.payable_minor <> COALESCE(s.payable, 0)`},
		{Name: "refund_cash", Rule: "what a refund gives back is its sources and the credit balance that it made",
			Query: `SELECT CONCAT('rfd:', HEX(r.refund_id)), CONCAT('gives back ', r.cash_minor, ', its sources are ', COALESCE(s.amount, 0), ', credit ', r.credit_minor)
				FROM loan_refunds r LEFT JOIN (SELECT refund_id, SUM(amount_minor) AS amount FROM refund_sources GROUP BY refund_id) s ON s.refund_id = r.refund_id
				WHERE r.cash_minor <> r.credit_minor + COALESCE(s.amount, 0)`},
		{Name: "refund_source", Rule: "no repayment gives back more of a loan than it brought to it, bounced or not",
			Query: `SELECT CONCAT('rpy:', HEX(s.repayment_id)), CONCAT('gives back ', s.amount, ' of ', COALESCE(f.amount_minor, 0))
				FROM (SELECT loan_id, repayment_id, SUM(amount_minor) AS amount FROM refund_sources GROUP BY loan_id, repayment_id) s
				LEFT JOIN loan_facts f ON f.loan_id = s.loan_id AND f.fact_id = s.repayment_id AND f.kind IN (2, 4)
				WHERE s.amount > COALESCE(f.amount_minor, 0)`},
		{Name: "journal_refund_payable", Rule: "the balance of REFUND_PAYABLE of a user is what refunds give back by repayments",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('loans ', COALESCE(l.payable, 0), ', journal ', COALESCE(j.balance, 0))
				FROM credit_accounts a LEFT JOIN (SELECT user_id, SUM(payable_minor) AS payable FROM loans GROUP BY user_id) l ON l.user_id = a.user_id
				LEFT JOIN (SELECT party, SUM(credit_minor - debit_minor) AS balance FROM journal_lines
					WHERE account = 'REFUND_PAYABLE' GROUP BY party) j ON j.party = a.user_id
				WHERE COALESCE(l.payable, 0) <> COALESCE(j.balance, 0)`},
		{Name: "journal_reduced", Rule: "each refund that made a hold smaller has its journal, of its amount",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('refunds took ', COALESCE(r.shrunk, 0), ', journal ', COALESCE(j.amount, 0))
				FROM credit_accounts a LEFT JOIN (SELECT user_id, SUM(shrunk_minor) AS shrunk FROM loans GROUP BY user_id) r ON r.user_id = a.user_id
				LEFT JOIN (SELECT party, SUM(credit_minor) AS amount FROM journal_lines WHERE account = 'CREDIT_COMMITMENT' AND cause = 'CREDIT_REDUCED'
					GROUP BY party) j ON j.party = a.user_id
				WHERE COALESCE(r.shrunk, 0) <> COALESCE(j.amount, 0)`},
	}
}
