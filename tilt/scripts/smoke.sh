#!/usr/bin/env bash
# Does the cluster keep promises? Supply the sample to three computers, request it, bang it, see it converge, and have its way drawn. Run it by in.sh; it may run again.
set -euo pipefail
tree=smoke
for computer in svc-node-0 svc-node-1 svc-node-2; do
  # A computer registers itself when it starts, which may be now.
  until vow supply "$VOW_CLUSTER_RELEASE" $computer --wait 30s; do
    [ $((tries = ${tries:-0} + 1)) -lt 20 ] || { echo "smoke: $computer does not take the sample release" >&2; exit 1; }
    sleep 0.5
  done
done
vow request $tree "$VOW_CLUSTER_RELEASE" --wait 60s
vow bang $tree -m 'smoke test' --wait 30s
vow tree $tree
drawn=$(vow trace $tree)
echo "$drawn"
# The whole way of the bang is told, from one trace.
grep -Eq 'trace [0-9a-f]{32}' <<<"$drawn" || { echo 'smoke: the convergence names no trace' >&2; exit 1; }
grep -q '^converged' <<<"$drawn" || { echo 'smoke: the convergence has no end' >&2; exit 1; }
if [ -n "${VOW_CLUSTER_JAEGER:-}" ]; then
  trace=$(grep -Eo 'trace [0-9a-f]{32}' <<<"$drawn" | head -1)
  deadline=$((SECONDS + 30)) # spans are sent in batches, every few seconds
  until curl -fsS --max-time 2 "$VOW_CLUSTER_JAEGER/api/v3/traces/${trace#trace }" | grep -q '"converge"'; do
    [ $SECONDS -lt $deadline ] || { echo "smoke: $VOW_CLUSTER_JAEGER does not have $trace" >&2; exit 1; }
    sleep 1
  done
fi
echo "smoke: $tree is Green, was banged, converged, and its way is one trace"
