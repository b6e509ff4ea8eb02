-- +goose Up
-- Cash that the marketplace collects for us: down payments of commits and repayments of bills.

ALTER TABLE commits
  ADD CONSTRAINT commit_state CHECK (state BETWEEN 1 AND 5);

CREATE TABLE commit_orders (
  commit_id           BINARY(16)     NOT NULL,
  order_id            BINARY(16)     NOT NULL,
  payment_id          BINARY(16)     NOT NULL,
  merchant_id         VARBINARY(64)  NOT NULL,
  loan_id             VARBINARY(64)  NOT NULL,
  amount_minor        BIGINT         NOT NULL,
  down_payment_minor  BIGINT         NOT NULL COMMENT 'the share of the down payment; the loan finances the rest',
  currency_code       VARBINARY(4)   NOT NULL,
  PRIMARY KEY (commit_id, order_id),
  KEY by_order (order_id, commit_id),
  KEY by_payment (payment_id, commit_id),
  CONSTRAINT down_payment_is_a_part CHECK (down_payment_minor >= 0 AND down_payment_minor < amount_minor)
) COMMENT 'what a commit that waits for cash does for each order once the cash is there';

CREATE TABLE cash_legs (
  id              BINARY(16)     NOT NULL COMMENT 'the reference that notifications name',
  kind            TINYINT        NOT NULL COMMENT '1 down payment, 2 repayment',
  subject_id      BINARY(16)     NOT NULL COMMENT 'the commit or the repayment',
  user_id         VARBINARY(64)  NOT NULL,
  checkout_id     BINARY(16)     NULL COMMENT 'of a down payment',
  channel         VARBINARY(32)  NOT NULL,
  amount_minor    BIGINT         NOT NULL,
  returned_minor  BIGINT         NOT NULL DEFAULT 0 COMMENT 'what cash_returns gave or give back of it',
  currency_code   VARBINARY(4)   NOT NULL,
  state           TINYINT        NOT NULL,
  version         BIGINT         NOT NULL,
  create_time     DATETIME(6)    NOT NULL,
  expire_time     DATETIME(6)    NOT NULL,
  pay_time        DATETIME(6)    NULL,
  update_time     DATETIME(6)    NOT NULL,
  due_time        DATETIME(6)    NULL COMMENT 'timer of a pending repayment; a down payment goes by its commit''s timer',
  PRIMARY KEY (id),
  UNIQUE KEY uq_leg_subject (subject_id),
  KEY by_leg_due (due_time),
  KEY by_leg_user (user_id, id),
  CONSTRAINT cash_leg_positive CHECK (amount_minor > 0),
  CONSTRAINT cash_leg_returned CHECK (returned_minor >= 0 AND returned_minor <= amount_minor),
  CONSTRAINT cash_leg_state CHECK (state BETWEEN 1 AND 5),
  CONSTRAINT cash_leg_kind CHECK ((kind = 1 AND checkout_id IS NOT NULL) OR (kind = 2 AND checkout_id IS NULL))
);

CREATE TABLE cash_returns (
  id             BINARY(16)     NOT NULL COMMENT 'the reference that notifications name',
  leg_id         BINARY(16)     NOT NULL,
  payment_id     BINARY(16)     NOT NULL,
  amount_minor   BIGINT         NOT NULL,
  currency_code  VARBINARY(4)   NOT NULL,
  state          TINYINT        NOT NULL COMMENT '5 returning, 4 given back',
  version        BIGINT         NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  finish_time    DATETIME(6)    NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_return_payment (payment_id),
  KEY by_return_leg (leg_id),
  CONSTRAINT cash_return_positive CHECK (amount_minor > 0),
  CONSTRAINT cash_return_state CHECK (state IN (4, 5))
);

CREATE TABLE leg_notifications (
  id             BINARY(16)     NOT NULL,
  reference_id   BINARY(16)     NOT NULL COMMENT 'the leg or return that it names',
  caller         VARBINARY(64)  NOT NULL,
  request_id     VARBINARY(64)  NOT NULL,
  fingerprint    BINARY(32)     NOT NULL COMMENT 'SHA-256 of the request content',
  status         TINYINT        NOT NULL COMMENT '1 paid, 2 failed, 3 refunded',
  amount_minor   BIGINT         NOT NULL,
  currency_code  VARBINARY(8)   NOT NULL,
  pay_time       DATETIME(6)    NULL,
  outcome        VARBINARY(16)  NOT NULL,
  leg_state      TINYINT        NOT NULL COMMENT 'after it',
  create_time    DATETIME(6)    NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_notification_request (caller, request_id),
  KEY by_reference (reference_id, id),
  KEY by_outcome (outcome, id)
) COMMENT 'every notification as it came; also the record of its request';
