-- +goose Up
-- A caller is its kind and its name: "H5:" and a user id of up to 64 bytes did not fit. Wider columns let the version before this one go on.

ALTER TABLE commits MODIFY caller VARBINARY(96) NOT NULL;
ALTER TABLE leg_notifications MODIFY caller VARBINARY(96) NOT NULL;
