-- +goose Up
-- The lock of a PIN grows with repetition. A default lets the version before this one go on writing while it is being replaced.

ALTER TABLE pins
  ADD COLUMN lock_count  INT  NOT NULL DEFAULT 0 COMMENT 'locks in a row: since the last right PIN, or a calm time' AFTER locked_until;
