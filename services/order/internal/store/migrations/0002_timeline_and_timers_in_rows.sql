-- +goose Up
-- An order carries its timeline, checkouts and orders carry their timers: each was a statement of its own in every step of a purchase.

ALTER TABLE orders
  ADD COLUMN timeline           MEDIUMBLOB   NULL COMMENT 'a line of JSON per version: to (state), time, actor, cause; the state before is that of the line before' AFTER version,
  ADD COLUMN auto_confirm_time  DATETIME(6)  NULL COMMENT 'when a PAID order is confirmed by itself' AFTER cancel_time,
  ADD KEY by_auto_confirm_time (auto_confirm_time);

SET SESSION group_concat_max_len = 1000000;

UPDATE orders o SET timeline = (SELECT GROUP_CONCAT(JSON_OBJECT('to', t.to_state, 'time', DATE_FORMAT(t.time, '%Y-%m-%d %H:%i:%s.%f'), 'actor', t.actor,
  'cause', t.cause) ORDER BY t.version SEPARATOR '\n') FROM order_timeline t WHERE t.order_id = o.id);

UPDATE orders SET timeline = CONCAT(timeline, '\n');

ALTER TABLE orders MODIFY timeline MEDIUMBLOB NOT NULL COMMENT 'a line of JSON per version: to (state), time, actor, cause; the state before is that of the line before';

UPDATE orders SET auto_confirm_time = pay_time + INTERVAL 15 DAY WHERE state = 3;

DROP TABLE order_timeline;

ALTER TABLE checkouts
  ADD COLUMN timer_time  DATETIME(6)  NULL COMMENT 'when the expiry looks at it; NULL once it is paid, cancelled or expired' AFTER expire_time,
  ADD KEY by_timer_time (timer_time);

UPDATE checkouts SET timer_time = expire_time WHERE state IN (1, 2);

DELETE FROM jobs WHERE kind IN ('checkout_expiry', 'auto_confirm');
