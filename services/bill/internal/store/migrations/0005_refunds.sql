-- +goose Up
-- Refunds of orders reach their loans. Before the goods are received the draft shrinks or is taken back; afterwards a refund is a fact
-- like any other, and what it gives back is split here into what goes back by repayments and what is credit balance.

ALTER TABLE loans
  ADD COLUMN shrunk_minor    BIGINT NOT NULL DEFAULT 0 COMMENT 'principal that refunds took from the draft: with principal_minor what was reserved' AFTER principal_minor,
  ADD COLUMN refunded_minor  BIGINT NOT NULL DEFAULT 0 COMMENT 'principal that refunds took back since it began' AFTER outstanding_minor,
  ADD COLUMN payable_minor   BIGINT NOT NULL DEFAULT 0 COMMENT 'what refunds give back by repayments; the rest of what they give back is in overpaid_minor' AFTER overpaid_minor,
  ADD CONSTRAINT loan_refunded CHECK (shrunk_minor >= 0 AND refunded_minor BETWEEN 0 AND principal_minor AND payable_minor >= 0);

CREATE TABLE loan_refunds (
  refund_id      BINARY(16)     NOT NULL,
  loan_id        BINARY(16)     NOT NULL,
  order_id       BINARY(16)     NOT NULL,
  kind           TINYINT        NOT NULL COMMENT '1 the draft shrank, 2 the draft was taken back, 3 the loan had begun',
  currency_code  VARBINARY(4)   NOT NULL,
  amount_minor   BIGINT         NOT NULL COMMENT 'financed part of the refund',
  cash_minor     BIGINT         NOT NULL COMMENT 'what had been paid of it and is given back',
  credit_minor   BIGINT         NOT NULL COMMENT 'part of the cash that became credit balance at once',
  effect         BLOB           NOT NULL COMMENT 'JSON of the answer',
  actor          VARBINARY(96)  NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  PRIMARY KEY (refund_id),
  KEY refund_loan (loan_id),
  CONSTRAINT refund_amounts CHECK (kind BETWEEN 1 AND 3 AND amount_minor > 0 AND cash_minor >= 0 AND credit_minor BETWEEN 0 AND cash_minor
    AND (kind = 3 OR cash_minor = 0))
);

CREATE TABLE refund_sources (
  refund_id     BINARY(16)     NOT NULL,
  repayment_id  BINARY(16)     NOT NULL COMMENT 'the repayment by which it goes back',
  loan_id       BINARY(16)     NOT NULL,
  amount_minor  BIGINT         NOT NULL,
  keep_time     DATETIME(6)    NULL     COMMENT 'set when it became credit balance, because it cannot go back that way',
  keep_actor    VARBINARY(96)  NOT NULL DEFAULT '',
  PRIMARY KEY (refund_id, repayment_id),
  KEY source_loan (loan_id),
  CONSTRAINT source_amount CHECK (amount_minor > 0)
);

CREATE TABLE kept_cash (
  reference      BINARY(16)     NOT NULL COMMENT 'the return of the payment service that was given up',
  user_id        VARBINARY(64)  NOT NULL,
  currency_code  VARBINARY(4)   NOT NULL,
  amount_minor   BIGINT         NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  PRIMARY KEY (reference),
  KEY kept_user (user_id),
  CONSTRAINT kept_amount CHECK (amount_minor > 0)
) COMMENT 'parts of down payments that could not go back and became credit balance';
