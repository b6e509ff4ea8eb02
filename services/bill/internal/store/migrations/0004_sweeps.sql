-- +goose Up
-- What falls due in one night is done user by user: the loans of a user meet in one batch.
ALTER TABLE loans DROP KEY loan_roll_time, ADD KEY loan_roll_time (roll_time, user_id);
