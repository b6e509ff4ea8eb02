-- +goose Up
-- What was frozen to be approved, each time that it was. refunds.effect is what is frozen now, and what the refund did once it is done.
CREATE TABLE refund_snapshots (
  refund_id    BINARY(16)     NOT NULL,
  snapshot     INT            NOT NULL,
  order_state  VARBINARY(16)  NOT NULL,
  effect       BLOB           NOT NULL COMMENT 'JSON of what it would do',
  create_time  DATETIME(6)    NOT NULL,
  PRIMARY KEY (refund_id, snapshot)
);

INSERT INTO refund_snapshots (refund_id, snapshot, order_state, effect, create_time)
  SELECT id, snapshot, order_state, effect, create_time FROM refunds WHERE approvals_needed > 0 AND state IN (2, 3);
