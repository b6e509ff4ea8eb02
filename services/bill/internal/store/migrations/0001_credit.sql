-- +goose Up
-- Times are UTC, money is minor units, ids are UUIDv7 in 16 bytes. State numbers are those of the domain and are never reused.

CREATE TABLE credit_accounts (
  id             BINARY(16)     NOT NULL,
  user_id        VARBINARY(64)  NOT NULL,
  currency_code  VARBINARY(4)   NOT NULL,
  limit_minor    BIGINT         NOT NULL,
  used_minor     BIGINT         NOT NULL COMMENT 'outstanding principal of running loans',
  held_minor     BIGINT         NOT NULL COMMENT 'principal of drafted loans',
  state          TINYINT        NOT NULL COMMENT '1 active, 2 frozen, 3 overdue, 4 closed',
  freeze_reason  VARCHAR(200)   NOT NULL,
  version        BIGINT         NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  update_time    DATETIME(6)    NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY account_user (user_id),
  CONSTRAINT account_figures CHECK (used_minor >= 0 AND held_minor >= 0 AND used_minor + held_minor <= limit_minor)
);

CREATE TABLE account_changes (
  id           BINARY(16)     NOT NULL,
  account_id   BINARY(16)     NOT NULL,
  actor        VARBINARY(96)  NOT NULL COMMENT 'kind and name of the operator',
  what         VARBINARY(32)  NOT NULL COMMENT 'the verb',
  reason       VARCHAR(200)   NOT NULL,
  before_json  BLOB           NULL     COMMENT 'the account before; NULL when it was opened',
  after_json   BLOB           NOT NULL,
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (id),
  KEY account_change_account (account_id, id)
);

CREATE TABLE products (
  code            VARBINARY(32)  NOT NULL,
  version         INT            NOT NULL,
  definition      BLOB           NOT NULL COMMENT 'JSON of the version; rows are never changed',
  effective_time  DATETIME(6)    NOT NULL,
  create_time     DATETIME(6)    NOT NULL,
  PRIMARY KEY (code, version)
);

CREATE TABLE reservations (
  commit_id      BINARY(16)     NOT NULL,
  user_id        VARBINARY(64)  NOT NULL COMMENT 'empty when the release came first',
  state          TINYINT        NOT NULL COMMENT '1 held, 2 released',
  fingerprint    BINARY(32)     NOT NULL COMMENT 'SHA-256 of the request; zero when the release came first',
  currency_code  VARBINARY(4)   NOT NULL,
  total_minor    BIGINT         NOT NULL COMMENT 'principal of all its loans, voided ones included',
  version        BIGINT         NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  release_time   DATETIME(6)    NULL,
  PRIMARY KEY (commit_id),
  CONSTRAINT reservation_released CHECK ((state = 2) = (release_time IS NOT NULL))
);

CREATE TABLE loans (
  id                 BINARY(16)     NOT NULL,
  order_id           BINARY(16)     NOT NULL,
  live               TINYINT        NULL     COMMENT '1, NULL once void: an order has one loan that counts',
  commit_id          BINARY(16)     NOT NULL,
  user_id            VARBINARY(64)  NOT NULL,
  merchant_id        VARBINARY(64)  NOT NULL,
  business           VARBINARY(32)  NOT NULL,
  product_code       VARBINARY(32)  NOT NULL,
  product_version    INT            NOT NULL,
  tenor_months       SMALLINT       NOT NULL,
  currency_code      VARBINARY(4)   NOT NULL,
  principal_minor    BIGINT         NOT NULL,
  interest_minor     BIGINT         NOT NULL,
  fee_minor          BIGINT         NOT NULL,
  outstanding_minor  BIGINT         NOT NULL COMMENT 'principal not yet repaid; 0 in a draft',
  plan               BLOB           NOT NULL COMMENT 'JSON of the plan; due dates are real once active',
  state              TINYINT        NOT NULL COMMENT '1 draft, 2 active, 3 overdue, 4 settled, 5 void, 6 written off',
  version            BIGINT         NOT NULL,
  draft_time         DATETIME(6)    NOT NULL,
  draft_actor        VARBINARY(96)  NOT NULL,
  activate_time      DATETIME(6)    NULL,
  end_time           DATETIME(6)    NULL,
  end_actor          VARBINARY(96)  NOT NULL,
  end_cause          VARCHAR(200)   NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY loan_live_order (order_id, live),
  KEY loan_commit (commit_id),
  KEY loan_user (user_id, id),
  CONSTRAINT loan_figures CHECK (principal_minor > 0 AND interest_minor >= 0 AND fee_minor >= 0
    AND outstanding_minor >= 0 AND outstanding_minor <= principal_minor),
  CONSTRAINT loan_live CHECK ((state = 5) = (live IS NULL))
);

CREATE TABLE instalments (
  loan_id               BINARY(16)  NOT NULL,
  sequence              SMALLINT    NOT NULL,
  due_date              DATE        NOT NULL,
  principal_minor       BIGINT      NOT NULL,
  interest_minor        BIGINT      NOT NULL,
  fee_minor             BIGINT      NOT NULL,
  paid_principal_minor  BIGINT      NOT NULL,
  paid_interest_minor   BIGINT      NOT NULL,
  paid_fee_minor        BIGINT      NOT NULL,
  state                 TINYINT     NOT NULL COMMENT '1 open, 2 paid',
  PRIMARY KEY (loan_id, sequence),
  KEY instalment_due (due_date),
  CONSTRAINT instalment_paid CHECK (paid_principal_minor BETWEEN 0 AND principal_minor
    AND paid_interest_minor BETWEEN 0 AND interest_minor AND paid_fee_minor BETWEEN 0 AND fee_minor)
);
