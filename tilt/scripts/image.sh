#!/usr/bin/env bash
# Build one image for Tilt and take it to the cluster: image.sh NAME [CONTEXT]. It compiles on this machine, packs without a daemon, and hands the archive to every node under $EXPECTED_REF.
# Nothing is pulled: the images are made of nothing but our programs. What a node is, it says itself; the name of a context says little.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ref=${EXPECTED_REF:?set by Tilt} context=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
archive=$work/image.tar
GOWORK=off go -C "$root/tools/cluster" run ./cmd/image -root "$root" -archive "$archive" -ref "$ref" "${1:?image.sh NAME [CONTEXT]}"

fail() { echo "image.sh: cannot take $ref to node $node ($runtime): $*; name a registry that it can pull from: tilt ci -- --registry=HOST" >&2; exit 1; }
have() { command -v "$1" >/dev/null || fail "no $1 on PATH"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# kind, k3d, minikube: the node is a container of this machine's Docker.
contained() { docker container inspect "$node" >/dev/null 2>&1; }

take() {
  case $runtime in
    docker://*)
      have docker
      if contained; then docker exec --interactive "$node" docker load --quiet <"$archive"; return; fi
      # Where Tilt set DOCKER_HOST, it is the Docker of minikube.
      [ -z "$profile" ] || [ -n "${DOCKER_HOST:-}" ] || eval "$(minikube --profile "$profile" docker-env --shell bash)"
      docker load --quiet --input "$archive" ;;
    containerd://*)
      if contained; then docker exec --interactive "$node" ctr --namespace k8s.io images import - <"$archive"
      elif [ -n "$profile" ]; then minikube --profile "$profile" image load "$archive"
      elif [[ $runtime == *k3s* ]]; then have k3s; as_root k3s ctr --namespace k8s.io images import "$archive"
      elif command -v microk8s >/dev/null; then as_root microk8s ctr --namespace k8s.io images import "$archive"
      else have ctr; as_root ctr --namespace k8s.io images import "$archive"; fi ;;
    *)
      [ -n "$profile" ] || fail 'unknown runtime'
      minikube --profile "$profile" image load "$archive" ;;
  esac
}

# A registry that Tilt was told of, or found in the cluster: the first part of the name is a host.
if [[ ${ref%%/*} == *[.:]* || $ref == localhost/* ]]; then
  docker load --quiet --input "$archive"
  docker push --quiet "$ref"
  exit
fi
nodes=$(kubectl ${context:+--context "$context"} get nodes --output 'jsonpath={range .items[*]}{.metadata.name} {.status.nodeInfo.containerRuntimeVersion} {.metadata.labels.minikube\.k8s\.io/name}{"\n"}{end}')
[ -n "$nodes" ] || { echo "image.sh: cannot take $ref anywhere: the cluster has no node" >&2; exit 1; }
while read -r node runtime profile <&3; do take; done 3<<<"$nodes"
