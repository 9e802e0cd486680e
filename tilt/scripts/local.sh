#!/usr/bin/env bash
# The local cluster: the topology of docs/cluster.md as processes on loopback.
#
#   local.sh build [PKG…] compile every program, or some; what did not change keeps its file, and so its process
#   local.sh run NAME     one process in the foreground, until SIGTERM; NAME is redis, svc-master-0, … (see names)
#   local.sh names        the processes of vow, in an order in which they may start
#   local.sh targets      where Prometheus finds them
#   local.sh environment  what commands need to find them, for a shell to read; in.sh does
#
# VOW_CLUSTER_DATA is where data, logs and programs are, VOW_CLUSTER_PORTS the first of its ports (docs/cluster.md).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
data=${VOW_CLUSTER_DATA:-$root/.cache/cluster}
base=${VOW_CLUSTER_PORTS:-7800}
bin=$data/bin

names='redis svc-master-0 svc-master-1 svc-scheduler-0 svc-scheduler-1 svc-promise-0 svc-promise-1 console svc-node-0 svc-node-1 svc-node-2'
programs='./svc-master/cmd/svc-master ./svc-scheduler/cmd/svc-scheduler ./svc-promise/cmd/svc-promise ./svc-node/cmd/svc-node ./svc-node/cmd/vow-supervisor ./console/cmd/console ./vow ./vow/cmd/vow-sample'

fail() { echo "local.sh: $*" >&2; exit 2; }

# The ports of a process, from the first one: 11-17 RPC, 21-27 and 31-33 admin.
rpc() {
  case $1 in
    svc-master-*) echo 127.0.0.1:$((base + 11 + ${1##*-})) ;;
    svc-scheduler-*) echo 127.0.0.1:$((base + 13 + ${1##*-})) ;;
    svc-promise-*) echo 127.0.0.1:$((base + 15 + ${1##*-})) ;;
    console) echo 127.0.0.1:$((base + 17)) ;;
  esac
}
admin() {
  case $1 in
    svc-node-*) echo 127.0.0.1:$((base + 31 + ${1##*-})) ;;
    *) local at; at=$(rpc "$1"); echo 127.0.0.1:$((${at##*:} + 10)) ;;
  esac
}

build() {
  local program name
  [ $# -gt 0 ] || set -- $programs
  mkdir -p "$bin" "$data/next"
  # Tilt builds for several processes at once, which may be of one program.
  exec 9>"$data/building"
  flock 9
  (cd "$root" && go build -trimpath -buildvcs=false -o "$data/next/" "$@")
  for program; do
    name=${program##*/}
    cmp -s "$data/next/$name" "$bin/$name" || cp -f --remove-destination "$data/next/$name" "$bin/$name"
  done
  exec 9>&-
}

run() {
  local name=${1:?local.sh run NAME} number=${1##*-} state=$data/$1 at
  mkdir -p "$state"
  case $name in
    redis)
      # What svc-master wants of a store that loses nothing (docs/store.md).
      exec redis-server --bind 127.0.0.1 --port "$base" --dir "$state" --appendonly yes --appendfsync always --save '' --maxmemory-policy noeviction --latency-monitor-threshold 100 --daemonize no ;;
    svc-master-*)
      exec "$bin/svc-master" --address "$(rpc "$name")" --admin-address "$(admin "$name")" --redis-url "redis://127.0.0.1:$base" ;;
    svc-scheduler-* | svc-promise-*)
      exec "$bin/${name%-*}" --address "$(rpc "$name")" --admin-address "$(admin "$name")" --redis-url "redis://127.0.0.1:$base" --master "$(rpc "svc-master-$number")" ;;
    console)
      exec "$bin/console" --address "$(rpc console)" --admin-address "$(admin console)" ${VOW_CLUSTER_TRACE_URL:+--trace-url "$VOW_CLUSTER_TRACE_URL"} \
        --master "$(rpc svc-master-0)" --scheduler "$(rpc svc-scheduler-0)" --promise "$(rpc svc-promise-0)" ;;
    svc-node-*)
      at=$((number % 2))
      exec "$bin/vow-supervisor" --dir "$state/supervisor" --agent -- \
        "$bin/svc-node" --computer "$name" --partitions 4 --instance-root "$state/instance" --software-root "$state/software" --state-dir "$state/node" \
        --supervisor-dir "$state/supervisor" --socket "$state/node.sock" --admin-address "$(admin "$name")" --executable "$bin/vow-sample" \
        --software-min-free-space 200 --instance-min-free-space 200 \
        --master "$(rpc "svc-master-$at")" --scheduler "$(rpc "svc-scheduler-$at")" --promise "$(rpc "svc-promise-$at")" ;;
    *) fail "cannot run $name: want one of $names" ;;
  esac
}

targets() {
  local name
  for name in ${names#redis }; do
    printf -- '- targets: [%s]\n  labels: {service: %s}\n' "$(admin "$name")" "${name%-[0-9]}"
  done
}

environment() {
  printf 'export %s=%q\n' VOW_MASTER_ADDRESS "$(rpc svc-master-0)" VOW_SCHEDULER_ADDRESS "$(rpc svc-scheduler-0)" VOW_PROMISE_ADDRESS "$(rpc svc-promise-0)" \
    VOW_CLUSTER_RELEASE "file://$root/examples/hello" PATH "$bin:$PATH"
}

case ${1:-} in
  build | run | targets | environment) "$@" ;;
  names) echo "$names" ;;
  *) fail 'want build, run NAME, names, targets or environment' ;;
esac
