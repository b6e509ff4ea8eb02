package store

import (
	"fmt"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// lastRung is an SQL expression for the attempts of a round that exhausts the ladder of a profile.
func lastRung() string {
	out := "CASE e.profile"
	for _, p := range domain.Profiles() {
		out += fmt.Sprintf(" WHEN %d THEN %d", p, len(p.Ladder())+1)
	}
	return out + " END"
}

// Audit gives the checks over deliveries.
func Audit() []audit.Check {
	return []audit.Check{
		{Name: "delivery_overdue", Rule: "a due delivery is sent, or put off, within ten minutes: an endpoint that cannot keep up needs somebody to look", UsesNow: true,
			Query: `SELECT CONCAT('dlv:', HEX(d.id)), CONCAT('due since ', d.due_time) FROM deliveries d WHERE d.due_time < ? - INTERVAL 600 SECOND AND ` + firstOfItsOrder},
		{Name: "delivery_counts_its_attempts", Rule: "a delivery counts as many attempts as it has",
			Query: `SELECT CONCAT('dlv:', HEX(d.id)), CONCAT('counts ', d.attempts, ' attempts, has ', COUNT(a.attempt_no)) FROM deliveries d
				LEFT JOIN delivery_attempts a ON a.delivery_id = d.id GROUP BY d.id, d.attempts HAVING d.attempts <> COUNT(a.attempt_no)`},
		{Name: "given_up_behind_the_last_rung", Rule: "a delivery is given up only behind the last rung of its ladder",
			Query: `SELECT CONCAT('dlv:', HEX(d.id)), CONCAT('given up after ', d.rung, ' attempts') FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
				WHERE d.state = 3 AND d.rung <> ` + lastRung()},
		{Name: "delivery_goes_on_or_has_ended", Rule: "a delivery that is not given up has rungs left",
			Query: `SELECT CONCAT('dlv:', HEX(d.id)), CONCAT('state ', d.state, ' after ', d.rung, ' attempts') FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
				WHERE d.state = 1 AND d.rung >= ` + lastRung()},
		{Name: "delivery_state_fits_its_last_attempt", Rule: "the last attempt of what was delivered was acknowledged, that of what was given up was not",
			Query: `SELECT CONCAT('dlv:', HEX(d.id)), CONCAT('state ', d.state, ', last attempt: ', COALESCE(a.error, 'none')) FROM deliveries d
				LEFT JOIN delivery_attempts a ON a.delivery_id = d.id AND a.attempt_no = d.attempts WHERE (d.state = 2 AND NOT COALESCE(a.error = '', 0))
				OR (d.state = 3 AND NOT COALESCE(a.error <> '', 0))`},
		{Name: "delivery_knows_its_address", Rule: "a delivery has an address of its own exactly when its endpoint has none",
			Query: `SELECT CONCAT('dlv:', HEX(d.id)), CONCAT('of its own: ', d.url <> '') FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id
				WHERE (d.url = '') = (e.url = '')`},
		{Name: "endpoint_without_secret", Rule: "every endpoint has one secret that stays, and two that are good at most", UsesNow: true,
			Query: `SELECT CONCAT('edp:', HEX(e.id)), CONCAT(COALESCE(SUM(s.id IS NOT NULL AND s.expire_time IS NULL), 0), ' stay, ', COUNT(s.id), ' are good') FROM endpoints e
				LEFT JOIN endpoint_secrets s ON s.endpoint_id = e.id AND (s.expire_time IS NULL OR s.expire_time > ?) GROUP BY e.id
				HAVING COALESCE(SUM(s.id IS NOT NULL AND s.expire_time IS NULL), 0) <> 1 OR COUNT(s.id) > 2`},
	}
}
