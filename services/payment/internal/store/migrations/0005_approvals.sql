-- +goose Up
-- From which moment on every return that an operator ended has its request: what came before had none.
CREATE TABLE approval_since (
  id     TINYINT      NOT NULL,
  since  DATETIME(6)  NOT NULL,
  PRIMARY KEY (id)
);

INSERT INTO approval_since (id, since) SELECT 1, COALESCE((SELECT MAX(resolve_time) FROM cash_returns), '1970-01-01');

-- In rupiah nobody but the operator up to a million, one other person above it, and two from fifty millions on. Where a currency has no
-- tiers, every amount needs two.
INSERT INTO approval_rules (id, verb, currency_code, effective_time) VALUES
  (0x00000000000000000000000000000001, 'ResolveCancelReturn', 'IDR', '1970-01-01');

INSERT INTO approval_rule_tiers (rule_id, from_minor, approvals) VALUES
  (0x00000000000000000000000000000001, 1, 0), (0x00000000000000000000000000000001, 1000001, 1), (0x00000000000000000000000000000001, 50000001, 2);
