-- +goose Up
-- An order belongs to the marketplace that made it, and its number is unique there. Orders from before are the home marketplace's, and so
-- are those that the version before this one goes on writing while it is being replaced: the key keeps its name, which that version
-- knows, and begins with what that version looks for.

ALTER TABLE orders
  ADD COLUMN owner VARBINARY(64) NOT NULL DEFAULT '' COMMENT 'the marketplace that made it; empty for the home marketplace' AFTER payment_id,
  DROP KEY uq_merchant_order,
  ADD UNIQUE KEY uq_merchant_order (merchant_id, out_order_no, owner);
