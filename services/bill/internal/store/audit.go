package store

import (
	"slices"

	"github.com/creditpay/creditpay/pkg/audit"
)

// Audit gives the checks of the bill service's books.
func Audit() []audit.Check {
	return slices.Concat(accountChecks(), loanChecks(), journalChecks(), refundChecks(), esignChecks(), approvalChecks())
}

// accountChecks compare accounts with loans.
func accountChecks() []audit.Check {
	return []audit.Check{
		{Name: "account_used", Rule: "what an account uses is the outstanding principal of its running loans",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('uses ', a.used_minor, ', its loans owe ', COALESCE(l.owed, 0))
				FROM credit_accounts a LEFT JOIN (SELECT user_id, SUM(outstanding_minor) AS owed FROM loans WHERE state IN (2, 3)
					GROUP BY user_id) l ON l.user_id = a.user_id
				WHERE a.used_minor <> COALESCE(l.owed, 0)`},
		{Name: "account_held", Rule: "what an account holds is the principal of its drafted loans",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('holds ', a.held_minor, ', its drafts are ', COALESCE(l.drafted, 0))
				FROM credit_accounts a LEFT JOIN (SELECT user_id, SUM(principal_minor) AS drafted FROM loans WHERE state = 1
					GROUP BY user_id) l ON l.user_id = a.user_id
				WHERE a.held_minor <> COALESCE(l.drafted, 0)`},
		{Name: "account_limit", Rule: "what is used and held stays within the limit, but for repayments that bounced, and nothing is negative",
			Query: `SELECT CONCAT('acc:', HEX(id)), CONCAT('uses ', used_minor, ', holds ', held_minor, ' of ', limit_minor)
				FROM credit_accounts a WHERE used_minor < 0 OR held_minor < 0 OR (used_minor + held_minor > limit_minor
					AND NOT EXISTS (SELECT 1 FROM repayments r WHERE r.user_id = a.user_id AND r.state = 4))`},
		{Name: "loan_account", Rule: "every loan has an account of its user and currency",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('user ', l.user_id, ' has no account in ', l.currency_code)
				FROM loans l LEFT JOIN credit_accounts a ON a.user_id = l.user_id AND a.currency_code = l.currency_code
				WHERE a.id IS NULL`},
	}
}

// loanChecks compare loans with their instalments, reservations and products.
func loanChecks() []audit.Check {
	return []audit.Check{
		{Name: "loan_instalments", Rule: "a loan that has begun has an instalment for each month, and their principals, interests and fees add up to its own",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('of ', l.tenor_months, ' months and ', l.principal_minor, ' + ', l.interest_minor, ' + ',
					l.fee_minor, ' has ', COALESCE(i.months, 0), ' instalments of ', COALESCE(i.principal, 0), ' + ', COALESCE(i.interest, 0), ' + ', COALESCE(i.fee, 0))
				FROM loans l LEFT JOIN (SELECT loan_id, COUNT(*) AS months, MAX(sequence) AS last_one, SUM(principal_minor) AS principal,
					SUM(interest_minor) AS interest, SUM(fee_minor) AS fee FROM instalments GROUP BY loan_id) i ON i.loan_id = l.id
				WHERE l.state IN (2, 3, 4, 6) AND (i.months IS NULL OR i.months <> l.tenor_months OR i.last_one <> l.tenor_months
					OR i.principal <> l.principal_minor OR i.interest <> l.interest_minor OR i.fee <> l.fee_minor)`},
		{Name: "loan_outstanding", Rule: "what is outstanding is the open principal of the instalments",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT(l.outstanding_minor, ' is outstanding, ', i.open, ' is open')
				FROM loans l JOIN (SELECT loan_id, SUM(open_principal_minor) AS open FROM instalments
					GROUP BY loan_id) i ON i.loan_id = l.id
				WHERE l.state IN (2, 3, 4, 6) AND i.open <> l.outstanding_minor`},
		{Name: "loan_settled", Rule: "nothing is open of a loan that is settled or was given up",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('instalment ', i.sequence, ' is open') FROM loans l JOIN instalments i ON i.loan_id = l.id
				WHERE l.state IN (4, 6) AND i.open_principal_minor + i.open_interest_minor + i.open_fee_minor + i.open_late_minor > 0`},
		{Name: "loan_roll_overdue", Rule: "what time changes is changed within a quarter of an hour", UsesNow: true,
			Query: `SELECT CONCAT('lon:', HEX(id)), CONCAT('due since ', roll_time) FROM loans WHERE roll_time < ? - INTERVAL 900 SECOND`},
		{Name: "billed_without_bill", Rule: "every instalment whose day has come is on a bill",
			Query: `SELECT CONCAT('lon:', HEX(i.loan_id)), CONCAT('instalment ', i.sequence, ' of ', i.bill_date) FROM instalments i JOIN loans l ON l.id = i.loan_id
				LEFT JOIN bills b ON b.user_id = l.user_id AND b.bill_date = i.bill_date AND b.due_date = i.due_date
				WHERE i.state IN (3, 4) AND b.id IS NULL`},
		{Name: "bill_state", Rule: "a bill was told to be what its instalments make it, unless it is to be looked at",
			Query: `SELECT CONCAT('bil:', HEX(s.id)), CONCAT('was told to be in state ', s.state, ', its instalments make it ', s.made) FROM (
				SELECT b.id, b.state, CASE WHEN MAX(i.state IN (4, 6)) = 1 THEN 'OVERDUE'
						WHEN SUM(i.open_principal_minor + i.open_interest_minor + i.open_fee_minor + i.open_late_minor) > 0 THEN 'ISSUED' ELSE 'PAID or CANCELLED' END AS made
					FROM bills b JOIN loans l ON l.user_id = b.user_id
					JOIN instalments i ON i.loan_id = l.id AND i.bill_date = b.bill_date AND i.due_date = b.due_date
					WHERE b.look_time IS NULL` + butGivenUp + ` GROUP BY b.id, b.state) s
				WHERE s.made <> CASE s.state WHEN 3 THEN 'OVERDUE' WHEN 1 THEN 'ISSUED' WHEN 0 THEN 'new' ELSE 'PAID or CANCELLED' END`},
		{Name: "bill_look_overdue", Rule: "a bill that may have changed is looked at within a quarter of an hour", UsesNow: true,
			Query: `SELECT CONCAT('bil:', HEX(id)), CONCAT('to be looked at since ', look_time) FROM bills WHERE look_time < ? - INTERVAL 900 SECOND`},
		{Name: "account_overdue_loans", Rule: "an account counts its overdue loans, and is OVERDUE with one unless it is frozen",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('counts ', a.overdue_loans, ' in state ', a.state, ', its loans are ', COALESCE(l.late, 0))
				FROM credit_accounts a LEFT JOIN (SELECT user_id, COUNT(*) AS late FROM loans WHERE state = 3 GROUP BY user_id) l ON l.user_id = a.user_id
				WHERE a.overdue_loans <> COALESCE(l.late, 0) OR (a.state = 1 AND a.overdue_loans > 0) OR (a.state = 3 AND a.overdue_loans = 0)`},
		{Name: "repayment_facts", Rule: "the facts of a repayment that stands and its rest add up to it; of any other there is none",
			Query: `SELECT CONCAT('rpy:', HEX(r.id)), CONCAT('of ', r.amount_minor, ' in state ', r.state, ' has facts of ', COALESCE(f.amount, 0), ' and a rest of ', r.rest_minor)
				FROM repayments r LEFT JOIN (SELECT fact_id, SUM(amount_minor) AS amount FROM loan_facts WHERE void_time IS NULL GROUP BY fact_id) f ON f.fact_id = r.id
				WHERE COALESCE(f.amount, 0) <> IF(r.state = 2, r.amount_minor - r.rest_minor, 0)`},
		{Name: "repayment_overdue", Rule: "what became of a repayment is asked in time", UsesNow: true,
			Query: `SELECT CONCAT('rpy:', HEX(id)), CONCAT('to be asked about since ', ask_time) FROM repayments WHERE ask_time < ? - INTERVAL 900 SECOND`},
		{Name: "instalment_without_debt", Rule: "a hold is not a debt: drafts and void loans have no instalments",
			Query: `SELECT CONCAT('lon:', HEX(i.loan_id)), CONCAT('instalment ', i.sequence, ' of a loan in state ', COALESCE(l.state, 0))
				FROM instalments i LEFT JOIN loans l ON l.id = i.loan_id WHERE l.id IS NULL OR l.state IN (1, 5)`},
		{Name: "loan_product", Rule: "a loan's product version is kept",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('product ', l.product_code, ' version ', l.product_version, ' is gone')
				FROM loans l LEFT JOIN products p ON p.code = l.product_code AND p.version = l.product_version WHERE p.code IS NULL`},
		{Name: "loan_reservation", Rule: "every loan belongs to a reservation of its user",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('has no reservation of user ', l.user_id)
				FROM loans l LEFT JOIN reservations r ON r.commit_id = l.commit_id AND r.user_id = l.user_id WHERE r.commit_id IS NULL`},
		{Name: "reservation_state", Rule: "a reservation is held exactly while one of its loans is not void",
			Query: `SELECT CONCAT('cmt:', HEX(r.commit_id)), CONCAT('in state ', r.state, ' with ', COALESCE(l.alive, 0), ' loans that are not void')
				FROM reservations r LEFT JOIN (SELECT commit_id, SUM(state <> 5) AS alive FROM loans GROUP BY commit_id) l ON l.commit_id = r.commit_id
				WHERE (r.state = 1) <> (COALESCE(l.alive, 0) > 0)`},
		{Name: "reservation_total", Rule: "a reservation's total is the principal of its loans, with what refunds took from their drafts",
			Query: `SELECT CONCAT('cmt:', HEX(r.commit_id)), CONCAT('of ', r.total_minor, ', its loans are ', COALESCE(l.principal, 0))
				FROM reservations r LEFT JOIN (SELECT commit_id, SUM(principal_minor + shrunk_minor) AS principal FROM loans GROUP BY commit_id) l ON l.commit_id = r.commit_id
				WHERE r.total_minor <> COALESCE(l.principal, 0)`},
		{Name: "draft_old", Rule: "no draft is older than 40 days: its order should have been confirmed or cancelled", UsesNow: true,
			Query: `SELECT CONCAT('lon:', HEX(id)), CONCAT('a draft since ', draft_time) FROM loans WHERE state = 1 AND draft_time < ? - INTERVAL 40 DAY`},
	}
}

// journalChecks compare the journal with accounts and loans. Journals name their loan in text, so they are compared by user.
func journalChecks() []audit.Check {
	return []audit.Check{
		{Name: "journal_held", Rule: "the balance of CREDIT_COMMITMENT of a user is what the account holds",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('holds ', a.held_minor, ', the journal says ', COALESCE(j.balance, 0))
				FROM credit_accounts a LEFT JOIN (SELECT party, SUM(debit_minor - credit_minor) AS balance FROM journal_lines
					WHERE account = 'CREDIT_COMMITMENT' GROUP BY party) j ON j.party = a.user_id
				WHERE a.held_minor <> COALESCE(j.balance, 0)`},
		{Name: "journal_used", Rule: "the balance of LOAN_PRINCIPAL of a user is what the account uses",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('uses ', a.used_minor, ', the journal says ', COALESCE(j.balance, 0))
				FROM credit_accounts a LEFT JOIN (SELECT party, SUM(debit_minor - credit_minor) AS balance FROM journal_lines
					WHERE account = 'LOAN_PRINCIPAL' GROUP BY party) j ON j.party = a.user_id
				WHERE a.used_minor <> COALESCE(j.balance, 0)`},
		{Name: "journal_party", Rule: "nobody without an account holds or owes anything in the journal",
			Query: `SELECT j.party, CONCAT(j.account, ' has a balance of ', SUM(j.debit_minor - j.credit_minor))
				FROM journal_lines j LEFT JOIN credit_accounts a ON a.user_id = j.party
				WHERE a.id IS NULL AND j.account IN ('CREDIT_COMMITMENT', 'LOAN_PRINCIPAL')
				GROUP BY j.party, j.account HAVING SUM(j.debit_minor - j.credit_minor) <> 0`},
		{Name: "journal_once", Rule: "a loan is held, released and activated once at most",
			Query: `SELECT object_id, CONCAT(COUNT(*), ' journals ', cause) FROM journal_lines
				WHERE account = 'CREDIT_COMMITMENT' GROUP BY object_id, cause HAVING COUNT(*) > 1`},
		{Name: "journal_of_states", Rule: "each user has a journal for each loan that was held, released and activated",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('loans ', COALESCE(l.held, 0), ' held, ', COALESCE(l.released, 0), ' void, ', COALESCE(l.activated, 0),
					' begun; journals ', COALESCE(j.held, 0), ', ', COALESCE(j.released, 0), ', ', COALESCE(j.activated, 0))
				FROM credit_accounts a
				LEFT JOIN (SELECT user_id, COUNT(*) AS held, SUM(state = 5) AS released, SUM(activate_time IS NOT NULL) AS activated
					FROM loans GROUP BY user_id) l ON l.user_id = a.user_id
				LEFT JOIN (SELECT party, SUM(cause = 'CREDIT_HELD') AS held, SUM(cause = 'CREDIT_RELEASED') AS released,
					SUM(cause = 'LOAN_ACTIVATED') AS activated FROM journal_lines WHERE account = 'CREDIT_COMMITMENT' GROUP BY party) j ON j.party = a.user_id
				WHERE COALESCE(l.held, 0) <> COALESCE(j.held, 0) OR COALESCE(l.released, 0) <> COALESCE(j.released, 0)
					OR COALESCE(l.activated, 0) <> COALESCE(j.activated, 0)`},
		journalOfInstalments("journal_fee", "FEE_RECEIVABLE", "the open fee of the instalments", "n.open_fee_minor"),
		journalOfInstalments("journal_interest", "INTEREST_RECEIVABLE", "the open interest of billed instalments", "n.billed * n.open_interest_minor"),
		journalOfInstalments("journal_late_fee", "LATE_FEE_RECEIVABLE", "the open late fees of the instalments", "n.open_late_minor"),
		{Name: "journal_credit_balance", Rule: "the balance of CREDIT_BALANCE of a user is what the account says belongs to the user",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('account ', a.credit_minor, ', journal ', COALESCE(j.balance, 0))
				FROM credit_accounts a LEFT JOIN (SELECT party, SUM(credit_minor - debit_minor) AS balance FROM journal_lines
					WHERE account = 'CREDIT_BALANCE' GROUP BY party) j ON j.party = a.user_id
				WHERE a.credit_minor <> COALESCE(j.balance, 0)`},
		{Name: "journal_repayments", Rule: "the balance of REPAYMENT_CLEARING of a user is the money that arrived: repayments that stand, recoveries, and cash that was kept",
			Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('arrived ', COALESCE(r.amount, 0) + COALESCE(f.amount, 0) + COALESCE(k.amount, 0), ', journal ', COALESCE(j.balance, 0))
				FROM credit_accounts a
				LEFT JOIN (SELECT user_id, SUM(amount_minor) AS amount FROM repayments WHERE state = 2 GROUP BY user_id) r ON r.user_id = a.user_id
				LEFT JOIN (SELECT l.user_id, SUM(f.amount_minor) AS amount FROM loan_facts f JOIN loans l ON l.id = f.loan_id
					WHERE f.kind = 6 AND f.void_time IS NULL GROUP BY l.user_id) f ON f.user_id = a.user_id
				LEFT JOIN (SELECT party, SUM(debit_minor - credit_minor) AS balance FROM journal_lines
					WHERE account = 'REPAYMENT_CLEARING' GROUP BY party) j ON j.party = a.user_id
				LEFT JOIN (SELECT user_id, SUM(amount_minor) AS amount FROM kept_cash GROUP BY user_id) k ON k.user_id = a.user_id
				WHERE COALESCE(r.amount, 0) + COALESCE(f.amount, 0) + COALESCE(k.amount, 0) <> COALESCE(j.balance, 0)`},
		income("income_interest", "INTEREST_INCOME", "interest of billed instalments that was not taken back", "SUM(n.billed * (n.interest_minor - n.cancelled_interest_minor))"),
		income("income_fee", "FEE_INCOME", "fees of billed instalments that were not taken back", "SUM(n.billed * (n.fee_minor - n.cancelled_fee_minor))"),
		income("income_late_fee", "LATE_FEE_INCOME", "late fees that were not forgiven", "SUM(n.late_minor - n.cancelled_late_minor)"),
	}
}

// journalOfInstalments compares an account of users with a figure of their instalments.
func journalOfInstalments(name, account, what, figure string) audit.Check {
	return audit.Check{Name: name, Rule: "the balance of " + account + " of a user is " + what,
		Query: `SELECT CONCAT('acc:', HEX(a.id)), CONCAT('instalments ', COALESCE(i.figure, 0), ', journal ', COALESCE(j.balance, 0))
			FROM credit_accounts a
			LEFT JOIN (SELECT l.user_id, SUM(` + figure + `) AS figure FROM instalments n JOIN loans l ON l.id = n.loan_id GROUP BY l.user_id) i ON i.user_id = a.user_id
			LEFT JOIN (SELECT party, SUM(debit_minor - credit_minor) AS balance FROM journal_lines
				WHERE account = '` + account + `' GROUP BY party) j ON j.party = a.user_id
			WHERE COALESCE(i.figure, 0) <> COALESCE(j.balance, 0)`}
}

// income compares income that was recognised, by currency, with what was charged less what was taken back.
func income(name, account, what, figure string) audit.Check {
	return audit.Check{Name: name, Rule: account + " is " + what,
		Query: `SELECT COALESCE(i.currency_code, j.currency_code), CONCAT('instalments ', COALESCE(i.figure, 0), ', journal ', COALESCE(j.balance, 0)) FROM
			(SELECT l.currency_code, ` + figure + ` AS figure FROM instalments n JOIN loans l ON l.id = n.loan_id GROUP BY l.currency_code) i
			LEFT JOIN (SELECT currency_code, SUM(credit_minor - debit_minor) AS balance FROM journal_lines
				WHERE account = '` + account + `' GROUP BY currency_code) j ON j.currency_code = i.currency_code
			WHERE COALESCE(i.figure, 0) <> COALESCE(j.balance, 0)`}
}

// AuditStream gives the loan of each order, with the price that was paid: principal, what refunds took from the draft, and down payment; see the door. Ids rise with time, so the last void loan has the largest.
func AuditStream() string {
	return `SELECT HEX(l.order_id), CASE l.state WHEN 1 THEN 'DRAFT' WHEN 2 THEN 'ACTIVE' WHEN 3 THEN 'OVERDUE' WHEN 4 THEN 'SETTLED'
			WHEN 5 THEN 'VOID' ELSE 'WRITTEN_OFF' END,
			l.principal_minor + l.shrunk_minor + CAST(JSON_EXTRACT(CONVERT(l.plan USING utf8mb4), '$.down_payment_minor') AS SIGNED)
		FROM loans l
		WHERE l.live = 1 OR NOT EXISTS (SELECT 1 FROM loans o WHERE o.order_id = l.order_id AND (o.live = 1 OR o.id > l.id))
		ORDER BY l.order_id`
}

// AuditUsers selects (order id in hex, borrower, number of other borrowers), by order id, over the loans of each order.
const AuditUsers = `SELECT HEX(order_id), MIN(user_id), COUNT(DISTINCT user_id) - 1 FROM loans GROUP BY order_id ORDER BY order_id`
