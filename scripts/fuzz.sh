#!/usr/bin/env bash
# Runs every fuzz test for a short while.
#
#   scripts/fuzz.sh DURATION FOLDER...      for example: scripts/fuzz.sh 10s pkg services
set -euo pipefail
cd "$(dirname "$0")/.."
duration=$1
shift
found=0
while IFS=: read -r file name; do
  found=$((found + 1))
  echo "== $name in $(dirname "$file")"
  go test "./$(dirname "$file")" -run='^$' -fuzz="^$name\$" -fuzztime="$duration"
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' "$@" | sed 's/:func /:/' | sort)
echo "fuzz: $found fuzz tests, $duration each"
