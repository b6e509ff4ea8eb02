#!/usr/bin/env bash
# Ends the development stack that scripts/run.sh started with the same CREDITPAY_STATE_DIR, and waits for it.
set -euo pipefail
cd "$(dirname "$0")/.."
pidfile=${CREDITPAY_STATE_DIR:-.local}/make-run.pid
args_of() { tr "\0" " " 2>/dev/null <"/proc/$1/cmdline" || ps -o args= -p "$1"; }
pid=$(cat "$pidfile" 2>/dev/null || true)
# The number may have gone to another program since: only a devstack is ended.
if [[ -z $pid ]] || ! args_of "$pid" 2>/dev/null | grep -q devstack; then
  rm -f "$pidfile"
  echo "stop: not running"
  exit 0
fi
kill -TERM "$pid"
for _ in $(seq 150); do
  if ! kill -0 "$pid" 2>/dev/null; then
    rm -f "$pidfile"
    echo "stop: process $pid has ended"
    exit 0
  fi
  sleep 0.2
done
echo "stop: process $pid did not end within 30 s; its state is kept" >&2
exit 1
