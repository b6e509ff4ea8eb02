-- +goose Up
-- A loan that runs is a contract and its facts; everything else about it follows by replay. What stands in its row and in its
-- instalments is where the last replay left it, so that the books can be proved in SQL.

ALTER TABLE credit_accounts
  DROP CONSTRAINT account_figures,
  ADD CONSTRAINT account_figures CHECK (used_minor >= 0 AND held_minor >= 0),
  ADD COLUMN credit_minor   BIGINT NOT NULL DEFAULT 0 COMMENT 'what belongs to the user; below zero when more was paid out than was good' AFTER held_minor,
  ADD COLUMN overdue_loans  INT    NOT NULL DEFAULT 0 COMMENT 'loans that are overdue' AFTER credit_minor;

ALTER TABLE loans
  ADD COLUMN start_date     DATE         NULL COMMENT 'interest runs from here; NULL in a draft' AFTER activate_time,
  ADD COLUMN books          BLOB         NULL COMMENT 'JSON of the balances that the journal has of it; NULL: those of its first day' AFTER start_date,
  ADD COLUMN overpaid_minor BIGINT       NOT NULL DEFAULT 0 COMMENT 'part of the user''s credit balance' AFTER books,
  ADD COLUMN overdue_minor  BIGINT       NOT NULL DEFAULT 0 COMMENT 'what was not paid in time' AFTER overpaid_minor,
  ADD COLUMN roll_time      DATETIME(6)  NULL COMMENT 'when time alone changes something; NULL for never' AFTER overdue_minor,
  ADD KEY loan_roll_time (roll_time);

UPDATE loans SET start_date = DATE(activate_time + INTERVAL 7 HOUR), roll_time = activate_time WHERE activate_time IS NOT NULL;

CREATE TABLE loan_facts (
  loan_id       BINARY(16)     NOT NULL,
  fact_id       BINARY(16)     NOT NULL COMMENT 'of the repayment, refund or act of an operator; one repayment may reach several loans',
  kind          TINYINT        NOT NULL COMMENT '1 late fee waived, 2 repaid, 3 refunded, 4 early settled, 5 written off, 6 recovered',
  value_date    DATE           NOT NULL,
  amount_minor  BIGINT         NOT NULL,
  actor         VARBINARY(96)  NOT NULL,
  cause         VARCHAR(200)   NOT NULL,
  create_time   DATETIME(6)    NOT NULL,
  void_time     DATETIME(6)    NULL COMMENT 'set for money that was not good: as if it had never been',
  void_actor    VARBINARY(96)  NOT NULL DEFAULT '',
  void_cause    VARCHAR(200)   NOT NULL DEFAULT '',
  PRIMARY KEY (loan_id, fact_id),
  KEY fact_id (fact_id),
  CONSTRAINT fact_amount CHECK (amount_minor > 0 OR kind = 5)
);

-- Of each part, what is not open, paid or cancelled was given up.
ALTER TABLE instalments
  ADD COLUMN bill_date                  DATE    NULL AFTER sequence,
  ADD COLUMN billed                     TINYINT NOT NULL DEFAULT 0 COMMENT '1 once its interest and fee are earned' AFTER due_date,
  ADD COLUMN late_minor                 BIGINT  NOT NULL DEFAULT 0 COMMENT 'late fees charged' AFTER fee_minor,
  ADD COLUMN paid_late_minor            BIGINT  NOT NULL DEFAULT 0 AFTER paid_fee_minor,
  ADD COLUMN open_principal_minor       BIGINT  NOT NULL DEFAULT 0 AFTER paid_late_minor,
  ADD COLUMN open_interest_minor        BIGINT  NOT NULL DEFAULT 0 AFTER open_principal_minor,
  ADD COLUMN open_fee_minor             BIGINT  NOT NULL DEFAULT 0 AFTER open_interest_minor,
  ADD COLUMN open_late_minor            BIGINT  NOT NULL DEFAULT 0 AFTER open_fee_minor,
  ADD COLUMN cancelled_principal_minor  BIGINT  NOT NULL DEFAULT 0 AFTER open_late_minor,
  ADD COLUMN cancelled_interest_minor   BIGINT  NOT NULL DEFAULT 0 AFTER cancelled_principal_minor,
  ADD COLUMN cancelled_fee_minor        BIGINT  NOT NULL DEFAULT 0 AFTER cancelled_interest_minor,
  ADD COLUMN cancelled_late_minor       BIGINT  NOT NULL DEFAULT 0 AFTER cancelled_fee_minor,
  DROP CONSTRAINT instalment_paid,
  ADD CONSTRAINT instalment_parts CHECK (paid_principal_minor >= 0 AND open_principal_minor >= 0 AND cancelled_principal_minor >= 0
    AND paid_principal_minor + open_principal_minor + cancelled_principal_minor <= principal_minor
    AND paid_interest_minor >= 0 AND open_interest_minor >= 0 AND cancelled_interest_minor >= 0
    AND paid_interest_minor + open_interest_minor + cancelled_interest_minor <= interest_minor
    AND paid_fee_minor >= 0 AND open_fee_minor >= 0 AND cancelled_fee_minor >= 0
    AND paid_fee_minor + open_fee_minor + cancelled_fee_minor <= fee_minor
    AND paid_late_minor >= 0 AND open_late_minor >= 0 AND cancelled_late_minor >= 0
    AND paid_late_minor + open_late_minor + cancelled_late_minor <= late_minor);

UPDATE instalments SET open_principal_minor = principal_minor, open_interest_minor = interest_minor, open_fee_minor = fee_minor WHERE state = 1;

-- A bill has no figures of its own: they are those of the instalments of its dates. The row is what it was told to be.
CREATE TABLE bills (
  id             BINARY(16)     NOT NULL,
  user_id        VARBINARY(64)  NOT NULL,
  bill_date      DATE           NOT NULL,
  due_date       DATE           NOT NULL,
  state          TINYINT        NOT NULL COMMENT '0 not told yet, 1 issued, 2 paid, 3 overdue, 4 cancelled',
  version        BIGINT         NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  look_time      DATETIME(6)    NULL COMMENT 'when its state is looked at next; NULL for never',
  PRIMARY KEY (id),
  UNIQUE KEY bill_of_user (user_id, bill_date, due_date),
  KEY bill_look_time (look_time)
);

CREATE TABLE repayments (
  id             BINARY(16)     NOT NULL,
  user_id        VARBINARY(64)  NOT NULL,
  caller         VARBINARY(96)  NOT NULL,
  request_id     VARBINARY(64)  NOT NULL,
  fingerprint    BINARY(32)     NOT NULL,
  kind           TINYINT        NOT NULL COMMENT '1 repayment, 2 early settlement',
  target         BLOB           NOT NULL COMMENT 'JSON: bills, loans, or neither',
  channel        VARBINARY(32)  NOT NULL,
  currency_code  VARBINARY(4)   NOT NULL,
  amount_minor   BIGINT         NOT NULL,
  rest_minor     BIGINT         NOT NULL DEFAULT 0 COMMENT 'what no loan took',
  state          TINYINT        NOT NULL COMMENT '1 pending, 2 succeeded, 3 failed, 4 bounced',
  version        BIGINT         NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  pay_time       DATETIME(6)    NULL,
  end_time       DATETIME(6)    NULL COMMENT 'of the last change of its state',
  ask_time       DATETIME(6)    NULL COMMENT 'when the payment service is asked what became of it; NULL once it is known',
  PRIMARY KEY (id),
  UNIQUE KEY repayment_request (caller, request_id),
  KEY repayment_user (user_id, id),
  KEY repayment_ask_time (ask_time),
  CONSTRAINT repayment_amount CHECK (amount_minor > 0 AND rest_minor BETWEEN 0 AND amount_minor)
);
