#!/usr/bin/env bash
# Generates proto/gen (Go, gRPC, gateway, OpenAPI) from proto/creditpay.
#
#   scripts/generate.sh            writes proto/gen; files whose content is the same are not touched
#   scripts/generate.sh --check    writes nothing; fails with a diff when proto/gen is not what would be generated
#
# Generation goes to a temporary folder first, so a .proto with a mistake leaves the work tree as it was.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-write}
scripts/tools.sh gen buf
scripts/protodeps.sh

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
.bin/buf generate -o "$tmp"
new=$tmp/proto/gen

case $mode in
--check)
  if ! diff -r -N -u proto/gen "$new" >"$tmp/diff"; then
    head -n 60 "$tmp/diff"
    echo "generate: proto/gen is out of date; run: make generate" >&2
    exit 1
  fi
  echo "generate: proto/gen is up to date ($(find "$new" -type f | wc -l) files)" ;;
write)
  (cd "$new" && find . -type f) | while read -r file; do
    if ! cmp -s "$new/$file" "proto/gen/$file"; then
      mkdir -p "proto/gen/$(dirname "$file")"
      cp "$new/$file" "proto/gen/$file"
      echo "generate: proto/gen/${file#./}"
    fi
  done
  (cd proto/gen && find . -type f) | while read -r file; do
    if [[ ! -e $new/$file ]]; then
      rm "proto/gen/$file"
      echo "generate: removed proto/gen/${file#./}"
    fi
  done
  find proto/gen -type d -empty -delete ;;
*) echo "usage: scripts/generate.sh [--check]" >&2; exit 2 ;;
esac
