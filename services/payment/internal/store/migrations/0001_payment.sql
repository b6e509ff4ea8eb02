-- +goose Up

CREATE TABLE quotes (
  checkout_id  BINARY(16)     NOT NULL,
  quote_id     BINARY(16)     NOT NULL,
  user_id      VARBINARY(64)  NOT NULL,
  terms        BLOB           NOT NULL COMMENT 'JSON: orders, sum, product, tenor',
  plan         BLOB           NOT NULL COMMENT 'creditpay.common.v1.Plan',
  expire_time  DATETIME(6)    NOT NULL,
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (checkout_id)
);

CREATE TABLE commits (
  id                  BINARY(16)     NOT NULL,
  checkout_id         BINARY(16)     NOT NULL,
  active_checkout_id  BINARY(16)     NULL COMMENT 'the checkout while the commit is not FAILED: one at a time',
  user_id             VARBINARY(64)  NOT NULL,
  caller              VARBINARY(64)  NOT NULL,
  request_id          VARBINARY(64)  NOT NULL,
  terms               BLOB           NOT NULL,
  state               TINYINT        NOT NULL,
  failure_reason      VARBINARY(64)  NOT NULL DEFAULT '',
  failure_message     VARCHAR(400)   NOT NULL DEFAULT '',
  version             BIGINT         NOT NULL,
  create_time         DATETIME(6)    NOT NULL,
  finish_time         DATETIME(6)    NULL,
  event_id            BINARY(16)     NULL COMMENT 'the event that told the end',
  PRIMARY KEY (id),
  UNIQUE KEY uq_active_checkout (active_checkout_id),
  KEY by_checkout (checkout_id)
);

CREATE TABLE payments (
  id             BINARY(16)     NOT NULL,
  order_id       BINARY(16)     NOT NULL,
  checkout_id    BINARY(16)     NOT NULL,
  commit_id      BINARY(16)     NOT NULL,
  user_id        VARBINARY(64)  NOT NULL,
  merchant_id    VARBINARY(64)  NOT NULL,
  amount_minor   BIGINT         NOT NULL,
  currency_code  VARBINARY(4)   NOT NULL,
  state          TINYINT        NOT NULL,
  version        BIGINT         NOT NULL,
  pay_time       DATETIME(6)    NOT NULL,
  reverse_time   DATETIME(6)    NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_order (order_id),
  KEY by_commit (commit_id),
  CONSTRAINT amount_positive CHECK (amount_minor > 0)
);

CREATE TABLE payment_legs (
  payment_id     BINARY(16)     NOT NULL,
  leg_no         TINYINT        NOT NULL,
  kind           TINYINT        NOT NULL,
  channel        VARBINARY(32)  NOT NULL,
  amount_minor   BIGINT         NOT NULL,
  state          TINYINT        NOT NULL,
  reference      VARBINARY(64)  NOT NULL,
  PRIMARY KEY (payment_id, leg_no),
  CONSTRAINT leg_positive CHECK (amount_minor > 0)
);

CREATE TABLE pins (
  user_id       VARBINARY(64)  NOT NULL,
  salt          BINARY(16)     NOT NULL,
  mac           VARBINARY(64)  NOT NULL,
  failed_count  INT            NOT NULL DEFAULT 0,
  locked_until  DATETIME(6)    NULL,
  version       BIGINT         NOT NULL,
  update_time   DATETIME(6)    NOT NULL,
  PRIMARY KEY (user_id)
);
