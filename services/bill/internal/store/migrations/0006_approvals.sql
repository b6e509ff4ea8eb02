-- +goose Up
-- From which moment on every act of an operator has its request: what came before had none. The moment is the newest act that is there.
CREATE TABLE approval_since (
  id     TINYINT      NOT NULL,
  since  DATETIME(6)  NOT NULL,
  PRIMARY KEY (id)
);

INSERT INTO approval_since (id, since)
  SELECT 1, GREATEST(COALESCE((SELECT MAX(create_time) FROM loan_facts), '1970-01-01'), COALESCE((SELECT MAX(void_time) FROM loan_facts), '1970-01-01'),
    COALESCE((SELECT MAX(create_time) FROM account_changes), '1970-01-01'));

-- In rupiah nobody but the requester up to a million, one other person above it, and two from fifty millions on. Where a currency has no
-- tiers, every amount needs two.
INSERT INTO approval_rules (id, verb, currency_code, effective_time) VALUES
  (0x00000000000000000000000000000001, 'PayOutCreditBalance', 'IDR', '1970-01-01'),
  (0x00000000000000000000000000000002, 'ReverseRepayment', 'IDR', '1970-01-01'),
  (0x00000000000000000000000000000003, 'WriteOffLoan', 'IDR', '1970-01-01'),
  (0x00000000000000000000000000000004, 'RecordRecovery', 'IDR', '1970-01-01'),
  (0x00000000000000000000000000000005, 'WaiveFee', 'IDR', '1970-01-01');

INSERT INTO approval_rule_tiers (rule_id, from_minor, approvals)
  SELECT r.id, t.from_minor, t.approvals FROM approval_rules r
  JOIN (SELECT 1 AS from_minor, 0 AS approvals UNION ALL SELECT 1000001, 1 UNION ALL SELECT 50000001, 2) t;
