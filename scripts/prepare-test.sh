#!/usr/bin/env bash
# The race detector needs a C compiler. Installs one where that is possible, otherwise says what to install.
set -euo pipefail
if command -v "$(go env CC)" >/dev/null; then exit 0; fi
if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends gcc libc6-dev
else
  echo "make test needs a C compiler for the race detector: install gcc and its C library headers, then run it again" >&2
  exit 1
fi
