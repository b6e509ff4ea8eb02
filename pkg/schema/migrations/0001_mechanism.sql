-- +goose Up
-- Times are UTC. Ids are UUIDv7 in 16 bytes. No auto-increment, no triggers: the same statements run on MariaDB, MySQL, Galera, TiDB.

CREATE TABLE idempotency (
  scope        VARBINARY(96)  NOT NULL COMMENT 'verb and caller',
  request_id   VARBINARY(64)  NOT NULL,
  fingerprint  BINARY(32)     NOT NULL COMMENT 'SHA-256 of the request content',
  answer       MEDIUMBLOB     NULL     COMMENT 'JSON of the first answer; NULL while in flight',
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (scope, request_id),
  KEY by_create_time (create_time)
);

CREATE TABLE outbox (
  id           BINARY(16)     NOT NULL,
  topic        VARBINARY(64)  NOT NULL,
  message_key  VARBINARY(64)  NOT NULL,
  payload      MEDIUMBLOB     NOT NULL COMMENT 'creditpay.common.v1.EventEnvelope',
  published    TINYINT        NOT NULL DEFAULT 0,
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (id),
  KEY by_published (published, id)
);

CREATE TABLE inbox (
  event_id     BINARY(16)     NOT NULL,
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (event_id),
  KEY by_create_time (create_time)
);

CREATE TABLE dead_letters (
  id           BINARY(16)     NOT NULL,
  topic        VARBINARY(64)  NOT NULL,
  event_id     VARBINARY(64)  NOT NULL,
  message_key  VARBINARY(64)  NOT NULL,
  type         VARBINARY(128) NOT NULL,
  payload      MEDIUMBLOB     NOT NULL,
  error        VARCHAR(1000)  NOT NULL,
  attempts     INT            NOT NULL,
  create_time  DATETIME(6)    NOT NULL,
  replay_time  DATETIME(6)    NULL,
  PRIMARY KEY (id)
);

CREATE TABLE jobs (
  kind         VARBINARY(32)  NOT NULL,
  job_key      VARBINARY(64)  NOT NULL,
  due_time     DATETIME(6)    NOT NULL COMMENT 'while leased: the end of the lease',
  attempt      INT            NOT NULL DEFAULT 0,
  last_error   VARCHAR(500)   NOT NULL DEFAULT '',
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (kind, job_key),
  KEY by_due_time (due_time)
);

CREATE TABLE leases (
  name         VARBINARY(64)  NOT NULL,
  owner        VARBINARY(64)  NOT NULL,
  until_time   DATETIME(6)    NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE journal_lines (
  journal_id    BINARY(16)     NOT NULL,
  line_no       SMALLINT       NOT NULL,
  account       VARBINARY(48)  NOT NULL,
  party         VARBINARY(64)  NOT NULL COMMENT 'user or merchant the line is about; empty for the house',
  object_id     VARBINARY(64)  NOT NULL COMMENT 'typed id of what moved',
  cause         VARBINARY(32)  NOT NULL,
  currency_code VARBINARY(4)   NOT NULL,
  debit_minor   BIGINT         NOT NULL,
  credit_minor  BIGINT         NOT NULL,
  post_time     DATETIME(6)    NOT NULL,
  PRIMARY KEY (journal_id, line_no),
  KEY by_object (object_id),
  CONSTRAINT one_side CHECK (debit_minor >= 0 AND credit_minor >= 0 AND (debit_minor = 0) <> (credit_minor = 0))
);
