#!/usr/bin/env bash
# Looks for known vulnerabilities in what our code calls. Where the database of vulnerabilities cannot be reached it says so in one
# line and fails nothing: GOVULNDB names another one (a mirror, or file:// and a folder).
#
#   scripts/vulncheck.sh MODULE...      for example: scripts/vulncheck.sh pkg services
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh vuln
scanner=$PWD/.bin/govulncheck
said=$(mktemp)
trap 'rm -f "$said"' EXIT
unreachable='fetching vulnerabilities|vuln\.go\.dev|dial tcp|proxyconnect|no such host|i/o timeout|connection refused'
for module in "$@"; do
  if (cd "$module" && "$scanner" ./...) >"$said" 2>&1; then
    echo "vulnerability scan: $module: $(tail -n 1 "$said")"
    continue
  fi
  # A finding is printed with a number; without one, what could not be fetched is no finding.
  if ! grep -q '^Vulnerability #' "$said" && grep -qiE "$unreachable" "$said"; then
    echo "vulnerability scan: its data cannot be reached (${GOVULNDB:-https://vuln.go.dev}); nothing was checked"
    exit 0
  fi
  echo "vulnerability scan: $module" >&2
  cat "$said" >&2
  exit 1
done
