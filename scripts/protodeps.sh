#!/usr/bin/env bash
# Links the foreign .proto files (google/api, google/rpc, buf/validate, openapiv2 options) under .protodeps/.
#
#   scripts/protodeps.sh [ROOT]      (no argument: this repository)
#
# They come out of pinned Go modules, checked by the checksum database, so nothing is vendored and no
# schema registry is asked. buf wants its modules inside the workspace and follows symbolic links.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(cd "${1:-.}" && pwd)
export GOWORK=off

# The openapiv2 options must be those of the plugin that reads them.
gateway=$(sed -n 's|^.*github.com/grpc-ecosystem/grpc-gateway/v2 \(v[^ ]*\).*|\1|p' tools/gen/go.mod | head -n 1)

# link NAME MODULE@VERSION FOLDER links FOLDER of the module as .protodeps/NAME.
link() {
  local name=$1 module=$2 folder=$3 dir
  # From another directory than the repository's modules: go.mod files here must not decide the version.
  dir=$(cd / && go mod download -json "$module" | sed -n 's|^[[:space:]]*"Dir": "\(.*\)",*$|\1|p')
  if [[ -z $dir || ! -d $dir/$folder ]]; then
    echo "protodeps: $module has no folder $folder" >&2
    exit 1
  fi
  mkdir -p "$(dirname "$root/.protodeps/$name")"
  ln -sfn "$dir/$folder" "$root/.protodeps/$name"
}

# The last v1 of the gateway still carries googleapis, with the right go_package; v2 no longer does.
link googleapis github.com/grpc-ecosystem/grpc-gateway@v1.16.0 third_party/googleapis
link protovalidate github.com/bufbuild/protovalidate@v1.2.2 proto/protovalidate
link grpc-gateway/protoc-gen-openapiv2/options "github.com/grpc-ecosystem/grpc-gateway/v2@$gateway" protoc-gen-openapiv2/options
