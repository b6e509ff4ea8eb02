-- +goose Up
-- Timers that failed, or waited in vain, again and again; and those that were stopped for it.

CREATE TABLE IF NOT EXISTS job_faults (
  kind        VARBINARY(32)  NOT NULL,
  job_key     VARBINARY(64)  NOT NULL,
  faults      INT            NOT NULL COMMENT 'in a row',
  first_time  DATETIME(6)    NOT NULL,
  last_time   DATETIME(6)    NOT NULL,
  last_error  VARCHAR(500)   NOT NULL,
  stop_time   DATETIME(6)    NULL COMMENT 'when it was stopped; a person decides what becomes of it',
  PRIMARY KEY (kind, job_key),
  KEY by_stop_time (stop_time)
);
