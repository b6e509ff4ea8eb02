-- +goose Up
-- Ids are UUIDv7 in 16 bytes, times UTC, money minor units. State numbers are those of creditpay.order.v1.

CREATE TABLE checkouts (
  id             BINARY(16)      NOT NULL,
  user_id        VARBINARY(64)   NOT NULL,
  business       VARBINARY(32)   NOT NULL,
  currency_code  VARBINARY(4)    NOT NULL,
  state          TINYINT         NOT NULL,
  commit_id      BINARY(16)      NULL     COMMENT 'the commit that is paying or has paid',
  total_minor    BIGINT          NOT NULL COMMENT 'what a commit must pay: the payable orders',
  redirect_url   VARBINARY(2048) NOT NULL,
  notify_url     VARBINARY(2048) NOT NULL COMMENT 'empty for none',
  expire_time    DATETIME(6)     NOT NULL,
  create_time    DATETIME(6)     NOT NULL,
  version        BIGINT          NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT checkout_state CHECK (state BETWEEN 1 AND 5),
  CONSTRAINT checkout_total CHECK (total_minor >= 0)
);

CREATE TABLE orders (
  id             BINARY(16)      NOT NULL,
  checkout_id    BINARY(16)      NOT NULL,
  payment_id     BINARY(16)      NOT NULL,
  merchant_id    VARBINARY(64)   NOT NULL,
  out_order_no   VARBINARY(64)   NOT NULL,
  content_hash   BINARY(32)      NOT NULL COMMENT 'SHA-256 of what was ordered',
  user_id        VARBINARY(64)   NOT NULL,
  business       VARBINARY(32)   NOT NULL,
  currency_code  VARBINARY(4)    NOT NULL,
  amount_minor   BIGINT          NOT NULL,
  paid_minor     BIGINT          NOT NULL,
  refunded_minor BIGINT          NOT NULL,
  title          VARCHAR(200)    NOT NULL,
  items          JSON            NOT NULL,
  state          TINYINT         NOT NULL,
  commit_id      BINARY(16)      NULL     COMMENT 'the commit that is paying or has paid',
  version        BIGINT          NOT NULL,
  create_time    DATETIME(6)     NOT NULL,
  expire_time    DATETIME(6)     NOT NULL,
  pay_time       DATETIME(6)     NULL,
  confirm_time   DATETIME(6)     NULL,
  cancel_time    DATETIME(6)     NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_merchant_order (merchant_id, out_order_no),
  KEY by_checkout (checkout_id, id),
  CONSTRAINT order_state CHECK (state BETWEEN 1 AND 8),
  CONSTRAINT order_amount CHECK (amount_minor > 0),
  CONSTRAINT order_paid CHECK (paid_minor BETWEEN 0 AND amount_minor),
  CONSTRAINT order_refunded CHECK (refunded_minor BETWEEN 0 AND paid_minor)
);

CREATE TABLE order_timeline (
  order_id       BINARY(16)      NOT NULL,
  version        BIGINT          NOT NULL COMMENT 'of the order after the change',
  from_state     TINYINT         NOT NULL COMMENT '0 for the creation',
  to_state       TINYINT         NOT NULL,
  time           DATETIME(6)     NOT NULL,
  actor          VARCHAR(128)    NOT NULL,
  cause          VARCHAR(255)    NOT NULL,
  PRIMARY KEY (order_id, version)
);

-- Commits that were aborted: one that comes late is refused.
CREATE TABLE aborted_commits (
  commit_id      BINARY(16)      NOT NULL,
  time           DATETIME(6)     NOT NULL,
  PRIMARY KEY (commit_id)
);
