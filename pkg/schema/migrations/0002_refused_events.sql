-- +goose Up
-- Messages that were not signed by the service that owns their topic: never applied, named by the audit. See package inbox.

CREATE TABLE IF NOT EXISTS refused_events (
  topic           VARBINARY(64)  NOT NULL,
  kafka_partition INT            NOT NULL,
  kafka_offset    BIGINT         NOT NULL,
  event_id        BINARY(16)     NULL     COMMENT 'as the message claims; NULL when it claims none',
  message_key     VARBINARY(64)  NOT NULL,
  type            VARBINARY(128) NOT NULL COMMENT 'type URL that the message claims',
  key_id          VARBINARY(64)  NOT NULL COMMENT 'key that the message claims; empty for none',
  reason          VARBINARY(32)  NOT NULL COMMENT 'eventsig.Reason',
  create_time     DATETIME(6)    NOT NULL,
  PRIMARY KEY (topic, kafka_partition, kafka_offset),
  KEY by_create_time (create_time)
);
