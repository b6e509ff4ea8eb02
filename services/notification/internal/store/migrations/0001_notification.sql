-- +goose Up
-- Ids are UUIDv7 in 16 bytes, times UTC. Numbers of states and profiles are those of creditpay.notification.v1.

CREATE TABLE endpoints (
  id           BINARY(16)      NOT NULL,
  owner        VARBINARY(64)   NOT NULL COMMENT 'merchant id; empty for the marketplace',
  url          VARBINARY(2048) NOT NULL COMMENT 'empty for a callback endpoint: checkouts name the address',
  event_types  VARBINARY(4096) NOT NULL COMMENT 'JSON list; empty for all that concern the owner',
  profile      TINYINT         NOT NULL,
  key_name     VARBINARY(64)   NOT NULL,
  state        TINYINT         NOT NULL,
  version      BIGINT          NOT NULL,
  create_time  DATETIME(6)     NOT NULL,
  PRIMARY KEY (id),
  KEY by_owner (owner, id),
  CONSTRAINT endpoint_profile CHECK (profile BETWEEN 1 AND 5),
  CONSTRAINT endpoint_state CHECK (state BETWEEN 1 AND 2)
);

CREATE TABLE endpoint_secrets (
  id           BINARY(16)      NOT NULL,
  endpoint_id  BINARY(16)      NOT NULL,
  sealed       VARBINARY(512)  NOT NULL COMMENT 'AES-256-GCM, bound to the id',
  create_time  DATETIME(6)     NOT NULL,
  expire_time  DATETIME(6)     NULL     COMMENT 'NULL for the one that stays',
  PRIMARY KEY (id),
  KEY by_endpoint (endpoint_id, id)
);

-- The feed. The id is given at receipt, so that who reads behind an id misses nothing.
CREATE TABLE notices (
  id           BINARY(16)      NOT NULL,
  event_id     BINARY(16)      NOT NULL,
  type         VARBINARY(64)   NOT NULL,
  merchant_id  VARBINARY(64)   NOT NULL COMMENT 'whose order it is about; empty when it concerns the marketplace only',
  order_id     BINARY(16)      NULL,
  out_order_no VARBINARY(64)   NOT NULL,
  payload      MEDIUMBLOB      NOT NULL COMMENT 'JSON',
  event_time   DATETIME(6)     NOT NULL,
  create_time  DATETIME(6)     NOT NULL,
  PRIMARY KEY (id),
  KEY by_merchant (merchant_id, id)
);

CREATE TABLE deliveries (
  id           BINARY(16)      NOT NULL,
  endpoint_id  BINARY(16)      NOT NULL,
  lane         BINARY(16)      NOT NULL COMMENT 'whose places it takes: the endpoint, or of a callback endpoint the host',
  url          VARBINARY(2048) NOT NULL COMMENT 'as its checkout named it; empty: where the endpoint is by then',
  event_id     BINARY(16)      NOT NULL,
  type         VARBINARY(64)   NOT NULL,
  order_id     BINARY(16)      NULL,
  in_order     TINYINT         NOT NULL COMMENT '1: waits for earlier ones of its endpoint and order',
  body         MEDIUMBLOB      NOT NULL,
  state        TINYINT         NOT NULL,
  attempts     INT             NOT NULL COMMENT 'over all rounds',
  rung         INT             NOT NULL COMMENT 'attempts of this round',
  round        INT             NOT NULL,
  due_time     DATETIME(6)     NULL     COMMENT 'NULL once it ended; while claimed, the end of the lease',
  lease_time   DATETIME(6)     NULL     COMMENT 'while claimed: the end of the lease',
  create_time  DATETIME(6)     NOT NULL,
  finish_time  DATETIME(6)     NULL,
  last_error   VARCHAR(500)    NOT NULL,
  version      BIGINT          NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uq_endpoint_event (endpoint_id, event_id),
  KEY by_due_time (due_time, lane),
  KEY by_endpoint (endpoint_id, id),
  KEY by_lane_due (lane, due_time),
  KEY by_order (order_id, id),
  KEY by_turn (endpoint_id, order_id, state, id),
  KEY by_finish_time (finish_time),
  CONSTRAINT delivery_state CHECK (state BETWEEN 1 AND 4),
  CONSTRAINT delivery_lane CHECK ((url = '') = (lane = endpoint_id)),
  CONSTRAINT delivery_ends CHECK ((state = 1) = (due_time IS NOT NULL) AND (state = 1) = (finish_time IS NULL))
);

CREATE TABLE delivery_attempts (
  delivery_id  BINARY(16)      NOT NULL,
  attempt_no   INT             NOT NULL,
  round        INT             NOT NULL,
  start_time   DATETIME(6)     NOT NULL,
  latency_us   BIGINT          NOT NULL,
  http_status  INT             NOT NULL COMMENT '0 when no answer came',
  answer       VARBINARY(512)  NOT NULL,
  error        VARCHAR(500)    NOT NULL COMMENT 'empty when it was acknowledged',
  PRIMARY KEY (delivery_id, attempt_no),
  KEY by_start_time (start_time)
);
