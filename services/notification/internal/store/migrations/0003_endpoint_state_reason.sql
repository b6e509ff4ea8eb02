-- +goose Up
-- Why an endpoint is in its state: a receiver that answers 410 ends it, and an operator sees that.
ALTER TABLE endpoints
  ADD COLUMN state_reason VARCHAR(500) NOT NULL DEFAULT '' COMMENT 'empty for one that was never disabled',
  ADD COLUMN state_time   DATETIME(6)  NULL                COMMENT 'when it got its state; NULL: when it was made';
