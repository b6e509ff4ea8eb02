-- +goose Up
-- A refund belongs to the marketplace of its buyer, which lists its own. Refunds from before, and those that the version before this one
-- goes on writing while it is being replaced, are the home marketplace's.

ALTER TABLE refunds
  ADD COLUMN owner VARBINARY(64) NOT NULL DEFAULT '' COMMENT 'the marketplace of the order; empty for the home marketplace' AFTER order_id,
  ADD KEY refund_owner (owner, id);
