#!/usr/bin/env bash
# One observability backend of the local cluster in the foreground, with the configuration of tilt/observability: observe.sh collector|jaeger|prometheus|grafana|pyroscope
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
config=$root/tilt/observability
data=${VOW_CLUSTER_DATA:-$root/.cache/cluster}/${1:?observe.sh NAME}
base=${VOW_CLUSTER_PORTS:-7800}
mkdir -p "$data"
case $1 in
  collector)
    exec "$(command -v otelcol-contrib || command -v otelcol-vow)" --config "$config/collector.yaml" ;;
  # The Collector has the usual ports of OTLP and of a health check; Jaeger takes those that collector.yaml sends to.
  jaeger)
    exec jaeger --set=receivers.otlp.protocols.grpc.endpoint=127.0.0.1:14317 --set=receivers.otlp.protocols.http.endpoint=127.0.0.1:14318 \
      --set=extensions.healthcheckv2.http.endpoint=127.0.0.1:14133 ;;
  prometheus)
    # The same configuration and rules; for targets, this cluster and not a vow up beside it.
    rm -rf "$data/rules" "$data/targets"
    mkdir -p "$data/targets/collector"
    cp -r "$config/prometheus.yaml" "$config/rules" "$data/"
    cp "$config"/targets/collector/*.yaml "$data/targets/collector/"
    "$here/local.sh" targets >"$data/targets/cluster.yaml"
    exec prometheus --config.file="$data/prometheus.yaml" --enable-feature=exemplar-storage --storage.tsdb.path="$data/tsdb" --web.listen-address=127.0.0.1:$((base + 40)) ;;
  grafana)
    export GF_SERVER_HTTP_ADDR=127.0.0.1 GF_SERVER_HTTP_PORT=$((base + 41)) GF_PATHS_DATA=$data GF_PATHS_LOGS=$data/log GF_PATHS_PROVISIONING=$config/grafana/provisioning
    export GF_AUTH_ANONYMOUS_ENABLED=true GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer GF_ANALYTICS_REPORTING_ENABLED=false GF_ANALYTICS_CHECK_FOR_UPDATES=false GF_PLUGINS_PREINSTALL_DISABLED=true
    export PROMETHEUS_URL=http://127.0.0.1:$((base + 40)) JAEGER_URL=http://127.0.0.1:16686 PYROSCOPE_URL=http://127.0.0.1:4040 DASHBOARDS_PATH=$config/grafana/dashboards
    home=/usr/share/grafana # of packages; an unpacked archive has it above its program
    [ -d $home ] || home=$(cd "$(dirname "$(readlink -f "$(command -v grafana)")")/.." && pwd)
    exec grafana server --homepath "$home" ;;
  pyroscope)
    cd "$data" # where it keeps profiles
    exec pyroscope -config.file="$config/pyroscope.yaml" -config.expand-env=true ;;
  *) echo "observe.sh: cannot run $1" >&2; exit 2 ;;
esac
