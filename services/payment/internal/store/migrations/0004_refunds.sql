-- +goose Up
-- Refunds: what they took out of payments, and returns of cash for them beside those of cancelled orders. Everything has a default,
-- so that the version before this one can go on writing while it is being replaced.

ALTER TABLE payments
  ADD COLUMN refund_count  INT  NOT NULL DEFAULT 0 COMMENT 'rows of payment_refunds';

ALTER TABLE payment_legs
  ADD COLUMN refunded_minor  BIGINT  NOT NULL DEFAULT 0 COMMENT 'what refunds took out of it' AFTER amount_minor,
  ADD CONSTRAINT leg_refunded CHECK (refunded_minor >= 0 AND refunded_minor <= amount_minor);

CREATE TABLE payment_refunds (
  refund_id      BINARY(16)     NOT NULL COMMENT 'of the refund service; the idempotency key',
  payment_id     BINARY(16)     NOT NULL,
  credit_minor   BIGINT         NOT NULL COMMENT 'of the part that credit financed',
  cash_minor     BIGINT         NOT NULL COMMENT 'of the part that was paid in cash; it has a return',
  currency_code  VARBINARY(4)   NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  PRIMARY KEY (refund_id),
  KEY by_refund_payment (payment_id, refund_id),
  CONSTRAINT refund_positive CHECK (credit_minor >= 0 AND cash_minor >= 0 AND credit_minor + cash_minor > 0)
) COMMENT 'what refunds took out of payments; also the record of their requests';

ALTER TABLE cash_returns
  MODIFY payment_id  BINARY(16)  NULL COMMENT 'the payment whose cash goes back; NULL for a part of a repayment',
  ADD COLUMN refund_id  BINARY(16)  NULL COMMENT 'NULL for the share of a cancelled order' AFTER payment_id,
  MODIFY state  TINYINT  NOT NULL COMMENT '5 returning, 4 returned, 3 failed, 6 abandoned',
  MODIFY finish_time  DATETIME(6)  NULL COMMENT 'when the marketplace said that it gave it back',
  ADD COLUMN ask_time      DATETIME(6)    NULL COMMENT 'when the marketplace was asked last; NULL: at create_time',
  ADD COLUMN event_id      BINARY(16)     NULL COMMENT 'the event that asked it last; NULL for returns from before this column',
  ADD COLUMN resolution    TINYINT        NOT NULL DEFAULT 0 COMMENT '1 given back another way, 2 abandoned, 3 its repayment bounced',
  ADD COLUMN actor         VARCHAR(96)    NOT NULL DEFAULT '' COMMENT 'the operator of resolution 1 and 2',
  ADD COLUMN evidence      VARCHAR(200)   NOT NULL DEFAULT '' COMMENT 'what proves it',
  ADD COLUMN resolve_time  DATETIME(6)    NULL,
  ADD COLUMN keep_time     DATETIME(6)    NULL COMMENT 'when an abandoned part of a down payment became credit balance',
  ADD COLUMN due_time      DATETIME(6)    NULL COMMENT 'timer of state 5: when the marketplace is asked once more',
  ADD KEY by_return_due (due_time),
  ADD KEY by_return_state (state, id);

UPDATE cash_returns SET due_time = create_time + INTERVAL 1 HOUR WHERE state = 5;

UPDATE cash_legs SET due_time = update_time + INTERVAL 1 HOUR WHERE state = 5;

ALTER TABLE cash_returns
  ADD COLUMN cancelled_payment_id  BINARY(16)  AS (IF(refund_id IS NULL, payment_id, NULL)) VIRTUAL COMMENT 'a payment is cancelled once' AFTER refund_id;

ALTER TABLE cash_returns
  DROP KEY uq_return_payment,
  ADD UNIQUE KEY uq_return_cancelled (cancelled_payment_id),
  ADD UNIQUE KEY uq_return_refund (refund_id, leg_id),
  ADD KEY by_return_payment (payment_id);

ALTER TABLE cash_returns
  DROP CONSTRAINT cash_return_state,
  ADD CONSTRAINT cash_return_state CHECK (state IN (3, 4, 5, 6)),
  ADD CONSTRAINT cash_return_cause CHECK (payment_id IS NOT NULL OR refund_id IS NOT NULL),
  ADD CONSTRAINT cash_return_end CHECK ((state IN (3, 5) AND finish_time IS NULL AND resolution = 0)
    OR (state = 4 AND (finish_time IS NOT NULL OR resolution IN (1, 3)))
    OR (state = 6 AND finish_time IS NULL AND resolution = 2)),
  ADD CONSTRAINT cash_return_resolution CHECK ((resolution = 0 AND resolve_time IS NULL)
    OR (resolution = 3 AND resolve_time IS NOT NULL)
    OR (resolution IN (1, 2) AND resolve_time IS NOT NULL AND actor <> '' AND evidence <> ''));
