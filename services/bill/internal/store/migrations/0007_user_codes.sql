-- +goose Up
-- One-time codes that sign no contract, and how many codes of any kind went out. State numbers are those of esign_challenges.

CREATE TABLE IF NOT EXISTS user_codes (
  id             BINARY(16)     NOT NULL,
  user_id        VARBINARY(64)  NOT NULL,
  purpose        TINYINT        NOT NULL COMMENT '1 payment PIN',
  code_mac       BINARY(32)     NOT NULL COMMENT 'keyed digest of the code sent last, its challenge and its number',
  code_sealed    VARBINARY(256) NULL     COMMENT 'the code, sealed, until it is handed to the sender',
  state          TINYINT        NOT NULL COMMENT '1 sent, 2 verified, 3 locked, 4 expired, 5 replaced',
  live           TINYINT        NULL     COMMENT '1 while the user may answer it: one a user and purpose',
  wrong_tries    SMALLINT       NOT NULL,
  resends        SMALLINT       NOT NULL,
  use_id         VARBINARY(128) NOT NULL COMMENT 'what the right code was used for; empty before',
  version        BIGINT         NOT NULL,
  create_time    DATETIME(6)    NOT NULL,
  send_time      DATETIME(6)    NOT NULL,
  expire_time    DATETIME(6)    NOT NULL,
  verify_time    DATETIME(6)    NULL,
  PRIMARY KEY (id),
  UNIQUE KEY user_code_live (user_id, purpose, live),
  KEY user_code_user (user_id, purpose, create_time),
  KEY user_code_create_time (create_time),
  CONSTRAINT user_code_state CHECK (wrong_tries >= 0 AND resends >= 0 AND (state = 1) = (live IS NOT NULL) AND (state = 2) = (verify_time IS NOT NULL)
    AND (state = 2) = (use_id <> '') AND (state = 1 OR code_sealed IS NULL))
);

CREATE TABLE IF NOT EXISTS code_counts (
  subject  VARBINARY(96)  NOT NULL COMMENT 'user:<id>, or phone:<keyed digest of the number>',
  hour     DATETIME(6)    NOT NULL COMMENT 'when the hour began',
  sent     INT            NOT NULL COMMENT 'codes in this hour',
  PRIMARY KEY (subject, hour),
  KEY code_count_hour (hour)
);
