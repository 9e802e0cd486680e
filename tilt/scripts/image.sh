#!/usr/bin/env bash
# Build one image for Tilt: image.sh NAME. It compiles on this machine, packs without a daemon, and hands the result to Docker under $EXPECTED_REF.
# Nothing is pulled: the images are made of nothing but our programs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOWORK=off go -C "$root/tools/cluster" run ./cmd/image -root "$root" -archive "$work/image.tar" -ref "${EXPECTED_REF:?set by Tilt}" "${1:?image.sh NAME}"
docker load --quiet --input "$work/image.tar"
