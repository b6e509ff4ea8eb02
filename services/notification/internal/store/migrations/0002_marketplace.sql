-- +goose Up
-- Endpoints and the feed belong to a marketplace, or to a merchant of one. What is from before, and what the version before this one goes
-- on writing while it is being replaced, is the home marketplace's.

ALTER TABLE endpoints
  ADD COLUMN marketplace VARBINARY(64) NOT NULL DEFAULT '' COMMENT 'whose events it hears of; empty for the home marketplace' AFTER id;

ALTER TABLE notices
  ADD COLUMN marketplace VARBINARY(64) NOT NULL DEFAULT '' COMMENT 'in which it happened; empty for the home marketplace' AFTER type,
  ADD KEY by_marketplace (marketplace, id);
