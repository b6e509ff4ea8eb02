-- +goose Up
-- People are compared by a canonical form of their names, see package approval. Names in tokens were ASCII so far, so their lower case is it.
-- A refund of before has no day and no sum, and counts in none.
ALTER TABLE refunds
  ADD COLUMN requester_subject  VARBINARY(200)  NULL COMMENT 'canonical form of requester',
  ADD COLUMN checkout_id        BINARY(16)      NULL COMMENT 'of the order; NULL for a refund of before',
  ADD COLUMN business_day       DATE            NULL COMMENT 'on which an operator asked for it',
  ADD COLUMN sum_minor          BIGINT          NULL COMMENT 'the largest of the sums by which its approvers were found';

UPDATE refunds SET requester_subject = LOWER(CONVERT(requester USING utf8mb4));

ALTER TABLE approvals
  ADD COLUMN approver_subject   VARBINARY(200)  NULL COMMENT 'canonical form of approver; NULL for one of before that should not have been',
  ADD COLUMN requester_subject  VARBINARY(200)  NULL COMMENT 'canonical form of requester';

UPDATE approvals SET approver_subject = LOWER(CONVERT(approver USING utf8mb4)), requester_subject = LOWER(CONVERT(requester USING utf8mb4));

-- Who approved what the same person asked for, or approved twice, under a name that was written in another way: the audit names what was
-- carried out by that; what still waits needs somebody else.
UPDATE approvals a JOIN approvals b ON b.refund_id = a.refund_id AND b.snapshot = a.snapshot AND b.approver_subject = a.approver_subject
  AND (b.create_time < a.create_time OR (b.create_time = a.create_time AND b.approver < a.approver)) SET a.approver_subject = NULL;

UPDATE approvals SET approver_subject = NULL WHERE approver_subject = requester_subject;

DELETE a FROM approvals a JOIN refunds r ON r.id = a.refund_id WHERE a.approver_subject IS NULL AND r.state = 2;

ALTER TABLE approvals
  ADD UNIQUE KEY approval_subject (refund_id, snapshot, approver_subject),
  ADD CONSTRAINT approved_by_another_person CHECK (approver_subject <> requester_subject);

-- The tiers of before go on as rules; approval_tiers is not read any more.
INSERT INTO approval_rules (id, verb, currency_code, effective_time)
  SELECT DISTINCT CAST(CONCAT(0x0000000000000000, RPAD(currency_code, 8, '.')) AS BINARY(16)), 'AdminRefundPayment', currency_code, '1970-01-01' FROM approval_tiers;

INSERT INTO approval_rule_tiers (rule_id, from_minor, approvals)
  SELECT r.id, t.from_minor, t.approvals FROM approval_rules r JOIN approval_tiers t ON t.currency_code = r.currency_code WHERE r.verb = 'AdminRefundPayment';

-- Ending a leg: in rupiah nobody but the operator up to a million, one other person above it, and two from fifty millions on.
INSERT INTO approval_rules (id, verb, currency_code, effective_time) VALUES
  (0x00000000000000000000000000000001, 'ResolveRefundLeg', 'IDR', '1970-01-01');

INSERT INTO approval_rule_tiers (rule_id, from_minor, approvals) VALUES
  (0x00000000000000000000000000000001, 1, 0), (0x00000000000000000000000000000001, 1000001, 1), (0x00000000000000000000000000000001, 50000001, 2);
