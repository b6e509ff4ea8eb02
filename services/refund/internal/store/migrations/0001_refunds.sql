-- +goose Up
-- Times are UTC, money is minor units, ids are UUIDv7 in 16 bytes. State numbers are those of the domain and are never reused.

-- What may be refunded of a paid order. A row is made by the first refund; refunds reserve their part in it.
CREATE TABLE budgets (
  order_id             BINARY(16)    NOT NULL,
  currency_code        VARBINARY(4)  NOT NULL,
  price_minor          BIGINT        NOT NULL COMMENT 'what was paid',
  down_payment_minor   BIGINT        NOT NULL COMMENT 'the part of it that was paid in cash',
  reserved_minor       BIGINT        NOT NULL COMMENT 'what refunds took',
  reserved_cash_minor  BIGINT        NOT NULL COMMENT 'the part of it that is of the down payment',
  create_time          DATETIME(6)   NOT NULL,
  PRIMARY KEY (order_id),
  CONSTRAINT budget_figures CHECK (price_minor > 0 AND down_payment_minor >= 0 AND down_payment_minor <= price_minor
    AND reserved_cash_minor >= 0 AND reserved_cash_minor <= down_payment_minor
    AND reserved_minor - reserved_cash_minor >= 0 AND reserved_minor - reserved_cash_minor <= price_minor - down_payment_minor)
);

CREATE TABLE refunds (
  id                BINARY(16)     NOT NULL,
  order_id          BINARY(16)     NOT NULL,
  merchant_id       VARBINARY(64)  NOT NULL,
  user_id           VARBINARY(64)  NOT NULL,
  requester         VARBINARY(96)  NOT NULL COMMENT 'kind and name of who asked',
  out_refund_no     VARBINARY(64)  NULL     COMMENT 'the requester''s number; NULL for an operator''s refund',
  currency_code     VARBINARY(4)   NOT NULL,
  amount_minor      BIGINT         NOT NULL,
  cash_minor        BIGINT         NOT NULL COMMENT 'the part of the down payment; the rest is of credit',
  reason_code       SMALLINT       NOT NULL,
  reason            VARCHAR(200)   NOT NULL,
  state             TINYINT        NOT NULL COMMENT '1 requested, 2 pending approval, 3 approved, 4 rejected, 5 expired, 6 executing, 7 succeeded, 8 failed',
  step              TINYINT        NOT NULL COMMENT '0 none, 1 adjust, 2 payment, 3 returns, 4 wait',
  approvals_needed  TINYINT        NOT NULL,
  snapshot          INT            NOT NULL COMMENT 'number of what is frozen to be approved',
  order_state       VARBINARY(16)  NOT NULL COMMENT 'when it was frozen',
  out_order_no      VARBINARY(64)  NOT NULL COMMENT 'the marketplace''s number of the order',
  notify_url        VARBINARY(2048) NOT NULL COMMENT 'where the marketplace wants to be told of the order; empty for nowhere',
  effect            BLOB           NOT NULL COMMENT 'JSON of what it does',
  failure           VARCHAR(200)   NOT NULL,
  attempts          INT            NOT NULL,
  version           BIGINT         NOT NULL,
  create_time       DATETIME(6)    NOT NULL,
  expire_time       DATETIME(6)    NULL     COMMENT 'until when it may be approved',
  finish_time       DATETIME(6)    NULL,
  PRIMARY KEY (id),
  UNIQUE KEY refund_number (order_id, out_refund_no),
  KEY refund_merchant (merchant_id, id),
  KEY refund_state (state, id),
  CONSTRAINT refund_amounts CHECK (amount_minor > 0 AND cash_minor >= 0 AND cash_minor <= amount_minor),
  CONSTRAINT refund_approvals CHECK (approvals_needed BETWEEN 0 AND 2 AND (approvals_needed = 0) = (expire_time IS NULL)),
  CONSTRAINT refund_finished CHECK ((state IN (4, 5, 7, 8)) = (finish_time IS NOT NULL)),
  CONSTRAINT refund_step CHECK ((state = 6) = (step > 0))
);

-- Who approved what: another person than who asked, and each person once.
CREATE TABLE approvals (
  refund_id    BINARY(16)     NOT NULL,
  snapshot     INT            NOT NULL,
  approver     VARBINARY(96)  NOT NULL,
  requester    VARBINARY(96)  NOT NULL,
  request_id   VARBINARY(64)  NOT NULL COMMENT 'of the approver''s request: repeating it is no second approval',
  comment      VARCHAR(200)   NOT NULL,
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (refund_id, snapshot, approver),
  CONSTRAINT approved_by_another CHECK (approver <> requester)
);

CREATE TABLE refund_legs (
  refund_id     BINARY(16)     NOT NULL,
  number        SMALLINT       NOT NULL,
  kind          TINYINT        NOT NULL COMMENT '1 down payment, 2 repayment, 3 credit balance',
  repayment_id  BINARY(16)     NULL,
  amount_minor  BIGINT         NOT NULL,
  state         TINYINT        NOT NULL COMMENT '1 pending, 2 returning, 3 returned, 4 failed, 5 kept',
  reference     VARBINARY(64)  NULL     COMMENT 'the payment service''s; NULL before it was asked for',
  evidence      VARCHAR(200)   NOT NULL COMMENT 'of an operator who ended it',
  actor         VARBINARY(96)  NOT NULL,
  PRIMARY KEY (refund_id, number),
  UNIQUE KEY leg_reference (reference),
  CONSTRAINT leg_amount CHECK (amount_minor > 0 AND (kind = 2) = (repayment_id IS NOT NULL))
);

-- Every change of a refund: the evidence.
CREATE TABLE refund_changes (
  refund_id    BINARY(16)     NOT NULL,
  version      BIGINT         NOT NULL COMMENT 'after the change',
  from_state   TINYINT        NOT NULL,
  to_state     TINYINT        NOT NULL,
  step         TINYINT        NOT NULL,
  actor        VARBINARY(96)  NOT NULL,
  cause        VARCHAR(300)   NOT NULL,
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (refund_id, version)
);

-- How many people must approve an operator's refund, from an amount on.
CREATE TABLE approval_tiers (
  currency_code  VARBINARY(4)  NOT NULL,
  from_minor     BIGINT        NOT NULL,
  approvals      TINYINT       NOT NULL,
  PRIMARY KEY (currency_code, from_minor),
  CONSTRAINT tier_approvals CHECK (approvals BETWEEN 0 AND 2 AND from_minor > 0)
);

INSERT INTO approval_tiers (currency_code, from_minor, approvals) VALUES ('IDR', 1, 0), ('IDR', 100001, 1), ('IDR', 5000000, 2);

CREATE TABLE approval_tier_changes (
  id             BINARY(16)    NOT NULL,
  currency_code  VARBINARY(4)  NOT NULL,
  tiers          BLOB          NOT NULL COMMENT 'JSON of the tiers afterwards',
  actor          VARBINARY(96) NOT NULL,
  reason         VARCHAR(200)  NOT NULL,
  create_time    DATETIME(6)   NOT NULL,
  PRIMARY KEY (id)
);
