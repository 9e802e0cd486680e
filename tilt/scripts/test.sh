#!/usr/bin/env bash
# The local mode without Tilt, as CI has it: what `tilt ci` would do with the Tiltfile (tools/cluster/session), then the buttons, a killed service among them; everything down again and nothing left.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d) session=
export VOW_CLUSTER_DATA=$work VOW_CLUSTER_PORTS=${VOW_CLUSTER_PORTS:-17800}
ended() {
  local code=$? left
  [ $code = 0 ] || tail -n 5 "$work"/log/*.log >&2 || true
  if [ -n "$session" ]; then kill -TERM "$session" 2>/dev/null || true; wait "$session" || code=1; fi
  # What outlives its cluster has the folder in its command or in its environment.
  if left=$(env -u VOW_CLUSTER_DATA grep -lsa -f <(echo "$work") /proc/[0-9]*/cmdline /proc/[0-9]*/environ); then # by a file, or grep would find itself
    for at in $left; do echo "test.sh: left behind: $(tr '\0' ' ' <"${at%/*}/cmdline" 2>/dev/null)" >&2; done
    code=1
  fi
  rm -rf "$work"
  exit $code
}
trap ended EXIT
trap 'exit 1' TERM INT HUP
GOWORK=off go -C "$root/tools/cluster" build -buildvcs=false -o "$work/session" ./cmd/session
"$work/session" -root "$root" -press bang,kill,drain,open &
session=$!
wait "$session"
