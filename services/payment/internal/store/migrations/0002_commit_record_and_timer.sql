-- +goose Up
-- The commit's row is the record of its request and carries its own timer.

ALTER TABLE commits
  MODIFY request_id   VARBINARY(64)  NULL COMMENT 'NULL once the request may be sent again',
  ADD COLUMN fingerprint   BINARY(32)   NOT NULL DEFAULT '' COMMENT 'SHA-256 of the request content' AFTER request_id,
  ADD COLUMN recover_time  DATETIME(6)  NULL COMMENT 'when the recovery worker takes over; NULL once it ended',
  ADD UNIQUE KEY uq_request (caller, request_id),
  ADD KEY by_recover_time (recover_time);

UPDATE commits SET recover_time = create_time WHERE state IN (1, 3);

DELETE FROM jobs WHERE kind = 'recover_commit';
