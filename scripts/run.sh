#!/usr/bin/env bash
# Starts the development stack in the foreground; Ctrl-C ends it. scripts/stop.sh ends it from elsewhere.
#
#   scripts/run.sh [ARGUMENT...]      (arguments go to devstack)
set -euo pipefail
cd "$(dirname "$0")/.."
state=${CREDITPAY_STATE_DIR:-.local}
pidfile=$state/make-run.pid
args_of() { tr "\0" " " 2>/dev/null <"/proc/$1/cmdline" || ps -o args= -p "$1"; }
if [[ -s $pidfile ]] && args_of "$(cat "$pidfile")" 2>/dev/null | grep -q devstack; then
  echo "run: already running as process $(cat "$pidfile"); make stop ends it" >&2
  exit 1
fi
mkdir -p .bin "$state"
go build -buildvcs=false -o .bin/devstack ./deploy/devstack/cmd/devstack
echo $$ >"$pidfile" # exec keeps the process id
exec .bin/devstack "$@"
