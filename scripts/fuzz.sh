#!/usr/bin/env bash
# Runs every fuzz test, for so many seconds in all: first, and three times as long as the others, those whose package, or one of
# ours that it uses, changed since main (BASE names another commit).
#
#   scripts/fuzz.sh SECONDS FOLDER...      for example: scripts/fuzz.sh 120 pkg services
set -euo pipefail
cd "$(dirname "$0")/.."
total=${1%s}
shift
if ! [[ $total =~ ^[1-9][0-9]*$ ]]; then
  echo "fuzz: \"$total\" is no number of seconds" >&2
  exit 2
fi
module=github.com/creditpay/creditpay

# changed_folders prints the folders with files that differ from the base, committed or not.
changed_folders() {
  local base
  base=$(git merge-base HEAD "${BASE:-main}" 2>/dev/null || git merge-base HEAD origin/main 2>/dev/null || true)
  if [[ -z $base ]]; then return 0; fi
  { git diff --name-only "$base" -- '*.go' '*/testdata/*'; git ls-files --others --exclude-standard -- '*.go'; } |
    sed 's#/testdata/.*#/x#' | xargs -r -n 1 dirname | sort -u
}

changed=$(changed_folders)

# touched FOLDER tells whether the package, or one of ours that it uses, changed.
touched() {
  [[ -n $changed ]] || return 1
  go list -deps -test "./$1" | sed -n "s#^$module/\([^ ]*\).*#\1#p" | sort -u | grep -qxF -f <(printf '%s\n' "$changed")
}

first=() others=()
while IFS=: read -r file name; do
  if touched "$(dirname "$file")"; then
    first+=("$(dirname "$file") $name")
  else
    others+=("$(dirname "$file") $name")
  fi
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' "$@" | sed 's/:func /:/' | sort)

shares=$((3 * ${#first[@]} + ${#others[@]}))
if [[ $shares -eq 0 ]]; then
  echo "fuzz: there are no fuzz tests in $*" >&2
  exit 1
fi

# run SHARES WHY TEST... runs tests, each for its shares of the total, 1 second at least.
run() {
  local seconds=$(($1 * total / shares)) why=$2
  shift 2
  if [[ $seconds -lt 1 ]]; then seconds=1; fi
  for test in "$@"; do
    echo "== ${test#* } in ${test% *}: $seconds s ($why)"
    go test "./${test% *}" -run='^$' -fuzz="^${test#* }\$" -fuzztime="${seconds}s"
  done
}

if [[ ${#first[@]} -gt 0 ]]; then run 3 "changed since ${BASE:-main}" "${first[@]}"; fi
if [[ ${#others[@]} -gt 0 ]]; then run 1 "unchanged" "${others[@]}"; fi
echo "fuzz: ${#first[@]} fuzz tests of what changed, ${#others[@]} others, $total s in all"
