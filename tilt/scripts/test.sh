#!/usr/bin/env bash
# The local mode without Tilt, as CI has it: everything up, ready, smoke test, a service killed, everything down again and nothing left.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
export VOW_CLUSTER_DATA=$work VOW_CLUSTER_PORTS=${VOW_CLUSTER_PORTS:-17800}
"$here/local.sh" build
"$here/local.sh" up &
up=$!
ended() {
  local code=$?
  [ $code = 0 ] || tail -n 5 "$work"/log/*.log >&2
  kill -TERM $up 2>/dev/null || true
  wait $up || code=1
  # A process that outlives its cluster holds the folder.
  if left=$(grep -lsa -f <(echo "$work") /proc/[0-9]*/cmdline); then # by a file, or grep would find itself
    for at in $left; do echo "test.sh: left behind: $(tr '\0' ' ' <"$at" 2>/dev/null)" >&2; done
    code=1
  fi
  rm -rf "$work"
  exit $code
}
trap ended EXIT
"$here/local.sh" ready
"$here/in.sh" local "$here/smoke.sh"
"$here/in.sh" local "$here/kill.sh" local
