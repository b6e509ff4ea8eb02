#!/usr/bin/env bash
# Puts the pinned build tools into .bin/. A second call finds the stamp and returns at once.
#
#   scripts/tools.sh [gen] [buf] [lint] [vuln]      (no argument: all)
#
#   gen   protoc-gen-go, protoc-gen-go-grpc, protoc-gen-grpc-gateway, protoc-gen-openapiv2 (tools/gen/go.mod)
#   buf   buf, prebuilt from npm (tools/buf/package-lock.json, checked by its hashes);
#         without npm it is built from tools/buf/go.mod, which takes minutes instead of seconds
#   lint  golangci-lint with gosec in it (tools/lint/go.mod)
#   vuln  govulncheck (tools/vuln/go.mod)
#
# Each group is a module of its own outside go.work, so that no tool can change a version the product uses.
# buf's module is never tidied: two of its test dependencies cannot be resolved, and the build does not need them.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off
unset GOOS GOARCH
root=$PWD
tmp=

cleanup() { if [[ -n $tmp ]]; then rm -rf "$tmp"; fi; }
trap cleanup EXIT

# stamp_of GROUP prints a fingerprint of all that decides the group's binaries.
stamp_of() {
  { cat "tools/$1"/go.mod "tools/$1"/go.sum "tools/$1"/package-lock.json scripts/tools.sh 2>/dev/null || true
    go version; } | cksum
}

go_tools() { (cd "tools/$1" && go build -buildvcs=false -ldflags='-s -w' -o "$tmp/" tool); }

buf_from_npm() {
  command -v npm >/dev/null || return 1
  mkdir "$tmp/npm"
  cp tools/buf/package.json tools/buf/package-lock.json "$tmp/npm/"
  (cd "$tmp/npm" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null 2>&1) || return 1
  cp "$tmp"/npm/node_modules/@bufbuild/buf-*/bin/buf "$tmp/buf" || return 1
  rm -rf "$tmp/npm"
  "$tmp/buf" --version >/dev/null 2>&1
}

# install GROUP BINARY... builds into a temporary folder and renames, so a running tool is never overwritten.
install() {
  local group=$1 binary want
  shift
  want=$(stamp_of "$group")
  if [[ $(cat ".bin/.stamp-$group" 2>/dev/null) == "$want" ]]; then
    local missing=
    for binary in "$@"; do [[ -x .bin/$binary ]] || missing=yes; done
    if [[ -z $missing ]]; then return 0; fi
  fi
  mkdir -p .bin
  tmp=$(mktemp -d "$root/.bin/.build.XXXXXX")
  case $group in
  buf)
    echo "tools: installing buf"
    if ! buf_from_npm; then
      echo "tools: no usable npm, building buf from source (a few minutes)"
      rm -rf "$tmp/npm" "$tmp/buf"
      go_tools buf
    fi ;;
  *)
    echo "tools: building $* (cached afterwards)"
    go_tools "$group" ;;
  esac
  for binary in "$@"; do mv -f "$tmp/$binary" ".bin/$binary"; done
  echo "$want" >".bin/.stamp-$group"
  rm -rf "$tmp"
  tmp=
}

if [[ $# -eq 0 ]]; then set -- gen buf lint vuln; fi
for group in "$@"; do
  case $group in
  gen) install gen protoc-gen-go protoc-gen-go-grpc protoc-gen-grpc-gateway protoc-gen-openapiv2 ;;
  buf) install buf buf ;;
  lint) install lint golangci-lint ;;
  vuln) install vuln govulncheck ;;
  *) echo "tools: unknown group $group; want gen, buf, lint or vuln" >&2; exit 2 ;;
  esac
done
