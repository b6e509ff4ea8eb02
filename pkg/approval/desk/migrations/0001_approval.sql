-- +goose Up
-- Times are UTC, money is minor units, ids are UUIDv7 in 16 bytes. State numbers are those of package approval and are never reused.
-- A *_subject is the canonical form of the name beside it: constraints are over subjects.

-- Acts that more than one person may have to approve: every one that was asked for, whatever it needed.
CREATE TABLE approval_requests (
  id                 BINARY(16)     NOT NULL,
  verb               VARBINARY(32)  NOT NULL,
  object             VARBINARY(96)  NOT NULL COMMENT 'typed id of what it is about, or a user',
  live_object        VARBINARY(96)  NULL     COMMENT 'object while it waits, where only one may wait',
  requester          VARBINARY(200) NOT NULL COMMENT 'as shown',
  requester_subject  VARBINARY(200) NOT NULL,
  reason             VARCHAR(200)   NOT NULL,
  summary            VARCHAR(200)   NOT NULL,
  currency_code      VARBINARY(4)   NOT NULL COMMENT 'empty for an act without an amount',
  amount_minor       BIGINT         NOT NULL,
  sum_minor          BIGINT         NOT NULL COMMENT 'the largest of the sums in which it counts, itself included',
  payer              VARBINARY(96)  NOT NULL COMMENT 'the user whose money it is; empty for none',
  checkout           VARBINARY(64)  NOT NULL COMMENT 'the checkout that it is of; empty for none',
  business_day       DATE           NOT NULL,
  arguments          BLOB           NOT NULL COMMENT 'JSON of what would be done',
  fingerprint        BINARY(32)     NOT NULL COMMENT 'SHA-256 of the arguments and of what they rest on',
  effect_id          BINARY(16)     NULL     COMMENT 'the row that it wrote: a fact, a pay-out, a repayment, a return; NULL before',
  rule_id            BINARY(16)     NULL     COMMENT 'the rule by which needed was found; NULL when there was none',
  needed             TINYINT        NOT NULL,
  state              TINYINT        NOT NULL COMMENT '1 pending, 2 approved, 3 carried out, 4 rejected, 5 expired, 6 failed, 7 cancelled',
  ended              VARBINARY(200) NOT NULL COMMENT 'who rejected it or took it back, as shown; empty for nobody',
  ended_subject      VARBINARY(200) NOT NULL,
  failure            VARCHAR(200)   NOT NULL,
  version            BIGINT         NOT NULL,
  create_time        DATETIME(6)    NOT NULL,
  expire_time        DATETIME(6)    NULL     COMMENT 'until when it may be approved; NULL when it needed nobody',
  finish_time        DATETIME(6)    NULL,
  PRIMARY KEY (id),
  UNIQUE KEY approval_live (verb, live_object),
  KEY approval_state (state, id),
  KEY approval_verb (verb, id),
  KEY approval_effect (effect_id),
  CONSTRAINT approval_amounts CHECK (amount_minor >= 0 AND sum_minor >= amount_minor),
  CONSTRAINT approval_needed CHECK (needed BETWEEN 0 AND 2 AND (needed = 0) = (expire_time IS NULL) AND (needed > 0 OR state IN (2, 3, 6))),
  CONSTRAINT approval_finished CHECK ((state IN (1, 2)) = (finish_time IS NULL)),
  CONSTRAINT approval_waits CHECK (live_object IS NULL OR state IN (1, 2))
);

-- Who approved what: another person than who asked, and each person once.
CREATE TABLE approval_votes (
  approval_id        BINARY(16)     NOT NULL,
  subject            VARBINARY(200) NOT NULL,
  approver           VARBINARY(200) NOT NULL COMMENT 'as shown',
  requester_subject  VARBINARY(200) NOT NULL,
  comment            VARCHAR(200)   NOT NULL,
  create_time        DATETIME(6)    NOT NULL,
  PRIMARY KEY (approval_id, subject),
  CONSTRAINT voted_by_another CHECK (subject <> requester_subject)
);

-- What was asked for, added up: kind 1 by requester and day, 2 by payer and day, 3 by checkout. What ended without an effect is taken out.
CREATE TABLE approval_sums (
  verb           VARBINARY(32)  NOT NULL,
  currency_code  VARBINARY(4)   NOT NULL,
  kind           TINYINT        NOT NULL,
  subject        VARBINARY(200) NOT NULL,
  business_day   DATE           NOT NULL COMMENT '1970-01-01 for a checkout',
  amount_minor   BIGINT         NOT NULL,
  PRIMARY KEY (verb, currency_code, kind, subject, business_day),
  CONSTRAINT approval_sum CHECK (amount_minor >= 0)
);

-- How many people must approve, by verb and currency. The rule of a time is the one whose effective time is the latest that has begun.
CREATE TABLE approval_rules (
  id              BINARY(16)     NOT NULL COMMENT 'of the request that set it; all zero but the last bytes for one that came with the schema',
  verb            VARBINARY(32)  NOT NULL,
  currency_code   VARBINARY(4)   NOT NULL,
  effective_time  DATETIME(6)    NOT NULL,
  cancel_time     DATETIME(6)    NULL     COMMENT 'taken back before it took effect',
  PRIMARY KEY (id),
  KEY rule_verb (verb, currency_code, effective_time, id)
);

CREATE TABLE approval_rule_tiers (
  rule_id     BINARY(16)  NOT NULL,
  from_minor  BIGINT      NOT NULL,
  approvals   TINYINT     NOT NULL,
  PRIMARY KEY (rule_id, from_minor),
  CONSTRAINT rule_tier CHECK (approvals BETWEEN 0 AND 2 AND from_minor > 0)
);
