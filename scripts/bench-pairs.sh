#!/usr/bin/env bash
# Compares the processor time of a purchase before and after a change: alternated pairs of short runs of the bench, each run by the
# tree that it measures, so that each is configured as its own time knows it. All processes count, MariaDB and the load too.
#
#   OLD=REF-OR-FOLDER PAIRS=10 DURATION=5 scripts/bench-pairs.sh
#
# OLD is a commit (default: where this branch left main, on main the commit before) or the folder of another checkout. Prints
# milliseconds per purchase, the ratio new to old of every pair and their median; fails when the median is above LIMIT (1.05).
# Machines have moods: only pairs that lie side by side say something, and only their median.
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${PAIRS:-10} duration=${DURATION:-5} limit=${LIMIT:-1.05}
if ! [[ $pairs =~ ^[1-9][0-9]*$ ]]; then
  echo "bench-pairs: PAIRS=$pairs is no number" >&2
  exit 2
fi
new=$PWD
work=$PWD/.local/bench-pairs
mkdir -p "$work"

old_ref() {
  local base
  base=$(git merge-base HEAD "${BASE:-main}")
  if [[ $base == "$(git rev-parse HEAD)" ]]; then base=$(git rev-parse HEAD^); fi
  echo "$base"
}

if [[ -n ${OLD:-} && -d ${OLD:-} ]]; then
  old=$(cd "$OLD" && pwd)
  echo "bench-pairs: old is the checkout in $OLD"
else
  ref=$(git rev-parse --verify "${OLD:-$(old_ref)}^{commit}")
  old=$work/old
  git worktree remove --force "$old" 2>/dev/null || true
  git worktree add --quiet --detach "$old" "$ref"
  trap 'git worktree remove --force "$old"' EXIT
  echo "bench-pairs: old is $(git log -1 --format='%h %s' "$ref")"
fi

# measure TREE NAME prints the milliseconds of processor time that a purchase took.
measure() {
  local out=$work/$2.txt log=$work/$2.log
  if ! (cd "$1" && go run ./deploy/bench/cmd/bench -seconds "$duration" -rounds 1 -sweep '' -million=false -rest=false -devstack=false \
    -loans 0 -endpoints 0 -backlog 0 -bin "$work/$2-bin" -state "$work/$2-state" >"$out" 2>"$log"); then
    echo "bench-pairs: the run of $2 failed; see $out and $log" >&2
    tail -n 5 "$log" >&2
    return 1
  fi
  awk '/processor time per purchase, ms/ { found = 1 } found && $NF == "all" { print $1; exit }' "$out"
}

measure "$old" old >/dev/null # builds, and fills caches
measure "$new" new >/dev/null
printf '%4s %10s %10s %8s\n' pair 'old, ms' 'new, ms' ratio
ratios=()
for ((i = 1; i <= pairs; i++)); do
  if ((i % 2)); then
    a=$(measure "$old" old) b=$(measure "$new" new)
  else
    b=$(measure "$new" new) a=$(measure "$old" old)
  fi
  ratio=$(awk -v a="$a" -v b="$b" 'BEGIN { if (a <= 0 || b <= 0) exit 1; printf "%.4f", b / a }')
  printf '%4d %10s %10s %8s\n' "$i" "$a" "$b" "$ratio"
  ratios+=("$ratio")
done
printf '%s\n' "${ratios[@]}" | sort -n | awk -v limit="$limit" '
  { r[NR] = $1 }
  END {
    m = NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2
    printf "median of %d pairs: new takes %.2f %% of the processor time of old (limit %.0f %%)\n", NR, 100 * m, 100 * limit
    exit m > limit
  }'
