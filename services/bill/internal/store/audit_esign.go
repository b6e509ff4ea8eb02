package store

import "github.com/creditpay/creditpay/pkg/audit"

// esignChecks compare signatures with their documents, and loans with signatures.
func esignChecks() []audit.Check {
	return []audit.Check{
		{Name: "signature_contract", Rule: "every signature has its contract, of the same user and text, whose document has the digest that was kept",
			Query: `SELECT CONCAT('chl:', HEX(COALESCE(c.challenge_id, s.contract_id))), CASE WHEN c.id IS NULL THEN 'a signature without its contract'
					WHEN SHA2(c.pdf, 256) <> LOWER(HEX(c.pdf_sha256)) THEN CONCAT('the document of ', c.number, ' is not the one that was signed')
					ELSE CONCAT('signature and contract ', c.number, ' differ') END
				FROM esign_signatures s LEFT JOIN esign_contracts c ON c.id = s.contract_id
				WHERE c.id IS NULL OR SHA2(c.pdf, 256) <> LOWER(HEX(c.pdf_sha256)) OR c.user_id <> s.user_id OR c.product_code <> s.product_code
					OR c.contract_version <> s.contract_version OR c.sign_time <> s.sign_time`},
		{Name: "contract_signature", Rule: "every contract has its signature, and was signed by a verified challenge of its user",
			Query: `SELECT CONCAT('chl:', HEX(c.challenge_id)), CONCAT('contract ', c.number, IF(s.contract_id IS NULL, ' has no signature', ' has no verified challenge'))
				FROM esign_contracts c LEFT JOIN esign_signatures s ON s.contract_id = c.id LEFT JOIN esign_challenges g ON g.id = c.challenge_id
				WHERE s.contract_id IS NULL OR g.id IS NULL OR g.state <> 2 OR g.user_id <> c.user_id OR g.checkout_id <> c.checkout_id
					OR g.verify_time <> c.sign_time`},
		{Name: "challenge_contract", Rule: "no challenge is verified without a contract",
			Query: `SELECT CONCAT('chl:', HEX(g.id)), CONCAT('verified at ', g.verify_time, ' without a contract')
				FROM esign_challenges g LEFT JOIN esign_contracts c ON c.challenge_id = g.id WHERE g.state = 2 AND c.id IS NULL`},
		// The rule in force is looked up, not assumed: an installation may have begun, or ceased, to ask for signatures.
		{Name: "loan_signed", Rule: "every loan drafted while signatures were needed rests on an older signature of its contract by its user",
			Query: `SELECT CONCAT('lon:', HEX(l.id)), CONCAT('drafted at ', l.draft_time, ' without a signature of ', l.product_code, ' ',
					JSON_UNQUOTE(JSON_EXTRACT(CONVERT(p.definition USING utf8mb4), '$.contract_version')))
				FROM loans l LEFT JOIN reservations r ON r.commit_id = l.commit_id
				JOIN products p ON p.code = l.product_code AND p.version = l.product_version
				WHERE COALESCE(JSON_UNQUOTE(JSON_EXTRACT(CONVERT(p.definition USING utf8mb4), '$.contract_version')), '') <> ''
					AND (SELECT e.required FROM esign_rule e WHERE e.since <= l.draft_time ORDER BY e.since DESC LIMIT 1) = 1
					AND NOT EXISTS (SELECT 1 FROM esign_signatures s WHERE s.contract_id = r.contract_id AND s.user_id = l.user_id
						AND s.product_code = l.product_code AND s.sign_time <= l.draft_time
						AND s.contract_version = JSON_UNQUOTE(JSON_EXTRACT(CONVERT(p.definition USING utf8mb4), '$.contract_version')))`},
		{Name: "code_left", Rule: "no code is kept an hour after it was to be sent", UsesNow: true,
			Query: `SELECT CONCAT('chl:', HEX(id)), CONCAT('its code of ', send_time, ' was not sent and is still kept') FROM esign_challenges
				WHERE code_sealed IS NOT NULL AND send_time < ? - INTERVAL 1 HOUR`},
		{Name: "user_code_left", Rule: "no code that signs nothing is kept an hour after it was to be sent", UsesNow: true,
			Query: `SELECT CONCAT('chl:', HEX(id)), CONCAT('its code of ', send_time, ' was not sent and is still kept') FROM user_codes
				WHERE code_sealed IS NOT NULL AND send_time < ? - INTERVAL 1 HOUR`},
	}
}
