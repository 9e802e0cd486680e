#!/usr/bin/env bash
# Kill something, as a fault would, and show how the tree comes back: kill.sh local|kubernetes, run by in.sh. Needs the tree of smoke.sh.
set -euo pipefail
case ${1:?kill.sh local|kubernetes} in
  # In a container without a shell nothing can kill a process but its supervisor: there a whole computer goes, its services with it.
  kubernetes) kubectl ${VOW_CLUSTER_CONTEXT:+--context "$VOW_CLUSTER_CONTEXT"} --namespace vow delete pod svc-node-0 --grace-period=0 --force ;;
  local) pid=$(vow ps smoke/web -o json | sed -n 's/.*"pid": *"\{0,1\}\([0-9]\{2,\}\).*/\1/p' | head -1); kill -KILL "$pid"; echo "killed $pid, a service of smoke/web" ;;
esac
vow bang smoke -m 'after a kill' --wait 60s
vow trace smoke
