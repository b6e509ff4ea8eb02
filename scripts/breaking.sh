#!/usr/bin/env bash
# Compares the contracts with those of another revision, and reports what would break a caller.
#
#   scripts/breaking.sh [REVISION]      (no argument: main, or origin/main)
#
# Exit status: 0 nothing breaks or there is nothing to compare with, 100 something breaks.
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-}
if [[ -z $base ]]; then
  for base in main origin/main ''; do
    if [[ -z $base ]] || git rev-parse -q --verify "$base^{commit}" >/dev/null 2>&1; then break; fi
  done
fi
if [[ -z $base ]] || ! git cat-file -e "$base:buf.yaml" 2>/dev/null; then
  echo "breaking: no earlier contracts to compare with"
  exit 0
fi
scripts/tools.sh buf
scripts/protodeps.sh

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
git archive "$base" buf.yaml proto | tar -x -C "$tmp"
scripts/protodeps.sh "$tmp" # git-ignored, so the archive lacks them
.bin/buf build "$tmp/proto" -o "$tmp/base.binpb"
.bin/buf breaking proto --against "$tmp/base.binpb"
echo "breaking: nothing breaks against $base"
