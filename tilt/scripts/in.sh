#!/usr/bin/env bash
# Run a command that finds the cluster: in.sh local|kubernetes COMMAND…
#
# It gets VOW_MASTER_ADDRESS, VOW_SCHEDULER_ADDRESS, VOW_PROMISE_ADDRESS, the sample release as the nodes see it in VOW_CLUSTER_RELEASE, and vow on its PATH.
# In Kubernetes the way there is kubectl port-forward, in VOW_CLUSTER_CONTEXT if that is set: Tilt's own port-forwards are not there in `tilt ci`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=${VOW_CLUSTER_DATA:-$(cd "$here/../.." && pwd)/.cache/cluster}
mode=${1:?in.sh local|kubernetes COMMAND…}
shift
case $mode in
  local) eval "$("$here/local.sh" environment)"; exec "$@" ;;
  kubernetes) ;;
  *) echo "in.sh: cannot run in $mode: want local or kubernetes" >&2; exit 2 ;;
esac

forwards=() logs=$(mktemp -d)
trap 'kill "${forwards[@]}" 2>/dev/null; rm -rf "$logs"' EXIT
# Port 0 is a free one; kubectl says which.
forward() {
  kubectl ${VOW_CLUSTER_CONTEXT:+--context "$VOW_CLUSTER_CONTEXT"} --namespace vow port-forward "service/$1" ":$2" >"$logs/$1" 2>&1 &
  forwards+=($!)
  local deadline=$((SECONDS + 30))
  until port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$logs/$1") && [ -n "$port" ]; do
    [ $SECONDS -lt $deadline ] || { echo "in.sh: cannot reach $1: $(cat "$logs/$1")" >&2; exit 1; }
    sleep 0.2
  done
}
forward svc-master 7711; export VOW_MASTER_ADDRESS=127.0.0.1:$port
forward svc-scheduler 7712; export VOW_SCHEDULER_ADDRESS=127.0.0.1:$port
forward svc-promise 7713; export VOW_PROMISE_ADDRESS=127.0.0.1:$port
export VOW_CLUSTER_RELEASE=file:///usr/share/vow/hello PATH=$data/bin:$PATH
"$@"
