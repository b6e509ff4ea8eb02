-- +goose Up
-- Signing. Times are UTC, ids are UUIDv7 in 16 bytes. State numbers are those of the domain and are never reused.

CREATE TABLE esign_profiles (
  user_id        VARBINARY(64)   NOT NULL,
  name_sealed    VARBINARY(512)  NOT NULL COMMENT 'sealed: name as on the identity card',
  target_kind    TINYINT         NOT NULL COMMENT '1 telephone',
  target_sealed  VARBINARY(256)  NOT NULL COMMENT 'sealed: where codes go',
  certificate    TINYINT         NOT NULL COMMENT '1 none, 2 active',
  version        BIGINT          NOT NULL,
  create_time    DATETIME(6)     NOT NULL,
  update_time    DATETIME(6)     NOT NULL,
  PRIMARY KEY (user_id)
);

CREATE TABLE esign_challenges (
  id                BINARY(16)     NOT NULL,
  user_id           VARBINARY(64)  NOT NULL,
  checkout_id       BINARY(16)     NOT NULL,
  product_code      VARBINARY(32)  NOT NULL,
  contract_version  VARBINARY(16)  NOT NULL,
  code_mac          BINARY(32)     NOT NULL COMMENT 'keyed digest of the code sent last, its challenge and its number',
  code_sealed       VARBINARY(256) NULL     COMMENT 'the code, sealed, until it is handed to the sender',
  state             TINYINT        NOT NULL COMMENT '1 sent, 2 verified, 3 locked, 4 expired, 5 replaced',
  live              TINYINT        NULL     COMMENT '1 while the user may answer it: one a user',
  wrong_tries       SMALLINT       NOT NULL,
  resends           SMALLINT       NOT NULL,
  sign_request_id   VARBINARY(64)  NOT NULL COMMENT 'the request that brought the right code; empty before',
  sign_fingerprint  BINARY(32)     NULL,
  version           BIGINT         NOT NULL,
  create_time       DATETIME(6)    NOT NULL,
  send_time         DATETIME(6)    NOT NULL,
  expire_time       DATETIME(6)    NOT NULL,
  verify_time       DATETIME(6)    NULL,
  PRIMARY KEY (id),
  UNIQUE KEY challenge_live (user_id, live),
  KEY challenge_user (user_id, create_time),
  CONSTRAINT challenge_state CHECK (wrong_tries >= 0 AND resends >= 0 AND (state = 1) = (live IS NOT NULL) AND (state = 2) = (verify_time IS NOT NULL)
    AND (state = 1 OR code_sealed IS NULL))
);

CREATE TABLE esign_contracts (
  id                BINARY(16)     NOT NULL,
  number            VARBINARY(64)  NOT NULL COMMENT 'as printed',
  user_id           VARBINARY(64)  NOT NULL COMMENT 'the signer',
  checkout_id       BINARY(16)     NOT NULL,
  challenge_id      BINARY(16)     NOT NULL,
  product_code      VARBINARY(32)  NOT NULL,
  product_version   INT            NOT NULL,
  contract_version  VARBINARY(16)  NOT NULL,
  text_version      VARBINARY(16)  NOT NULL COMMENT 'the wording',
  content_sha256    BINARY(32)     NOT NULL COMMENT 'of the text, printed below it',
  pdf_sha256        BINARY(32)     NOT NULL,
  pdf               MEDIUMBLOB     NOT NULL,
  sign_time         DATETIME(6)    NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY contract_number (number),
  UNIQUE KEY contract_challenge (challenge_id)
);

CREATE TABLE esign_signatures (
  contract_id       BINARY(16)     NOT NULL,
  user_id           VARBINARY(64)  NOT NULL,
  product_code      VARBINARY(32)  NOT NULL,
  contract_version  VARBINARY(16)  NOT NULL,
  sign_time         DATETIME(6)    NOT NULL,
  PRIMARY KEY (contract_id),
  KEY signature_user (user_id, product_code, contract_version, sign_time)
);

-- When purchases began, or ceased, to need signatures: for the audit.
CREATE TABLE esign_rule (
  since     DATETIME(6)  NOT NULL,
  required  TINYINT      NOT NULL,
  PRIMARY KEY (since)
);

ALTER TABLE reservations ADD COLUMN contract_id BINARY(16) NULL COMMENT 'the signed contract that the commit rests on; NULL when none was needed';
