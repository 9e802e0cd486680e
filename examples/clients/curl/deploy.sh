#!/usr/bin/env bash
# Deploys with vow by curl and jq, in Connect's JSON: requests a tree, waits until it is Green on the watch stream, reads what it published, bangs it, and follows the convergence.
#
#   ./deploy.sh http://127.0.0.1:7711 shop file:///opt/releases/shop web-port=8080
set -euo pipefail
[ $# -ge 3 ] || { echo 'cannot deploy: want MASTER TITLE RELEASE [PARAMETER=VALUE …]' >&2; exit 2; }
master=$1 title=$2 release=$3
shift 3
deadline=$((SECONDS + 60))

# call SERVICE/CALL JSON: one unary call, made again while svc-master is away (curl retries 503 and refused connections, after Retry-After where it is told).
call() {
  curl -sS --fail-with-body --max-time 10 --retry 6 --retry-connrefused --retry-max-time 30 \
    -H 'Content-Type: application/json' -d "$2" "$master/vow.master.v1.$1"
}

# watch SERVICE/CALL JSON ENOUGH [SHOWN]: follows a stream, prints of each message what the jq filter SHOWN makes of it, and ends with success at the first one of which ENOUGH is true. In Connect's
# streams a message is in an envelope: a byte of flags, its length in four bytes, big endian; flag 2 is the end: {}, or {"error": …}.
watch() {
  local LC_ALL=C length stream curl flags a b c d message
  printf -v length '\\x%02x\\x%02x\\x%02x\\x%02x' $((${#2} >> 24 & 255)) $((${#2} >> 16 & 255)) $((${#2} >> 8 & 255)) $((${#2} & 255))
  exec {stream}< <(exec curl -sSN --max-time $((deadline > SECONDS ? deadline - SECONDS : 1)) -H 'Content-Type: application/connect+json' \
    --data-binary @<(printf "\\x00$length%s" "$2") "$master/vow.master.v1.$1")
  curl=$!
  while read -r flags a b c d < <(head -c 5 <&"$stream" | od -An -v -tu1) && [ -n "$flags" ]; do
    message=$(head -c $((a << 24 | b << 16 | c << 8 | d)) <&"$stream")
    if ((flags & 2)); then
      jq -r '.error // empty | "the stream ended: \(.code): \(.message)"' <<<"$message" >&2
      break
    fi
    [ -z "${4-}" ] || jq -r "$4" <<<"$message"
    if jq -e "$3" <<<"$message" >/dev/null; then
      kill "$curl" 2>/dev/null || true # it may have ended with its stream
      exec {stream}<&-
      return 0
    fi
  done
  exec {stream}<&-
  return 1
}

# follow is watch, which is begun again when the stream breaks: each begins with the whole state.
follow() {
  until watch "$@"; do
    [ $SECONDS -lt $deadline ] || { echo "cannot wait longer for $title" >&2; exit 1; }
    sleep 1
  done
}

# One key for the call, however often it is made.
key() { cat /proc/sys/kernel/random/uuid; }

parameters=$(printf '%s\n' "$@" | jq -Rn '[inputs | select(. != "") | capture("(?<key>[^=]+)=(?<value>.*)")] | from_entries')
request=$(jq -n --arg id "$(key)" --arg title "$title" --arg release "$release" --argjson parameters "$parameters" \
  '{requestId: $id, title: $title, softwareRelease: $release, parameters: $parameters}')
tree=$(call InstanceService/RequestInstance "$request" | jq -r .instance.treeId)

# Green alone may be that of before the change: settled says that each partition has run since.
follow TreeService/WatchTreeColours "{\"treeId\":\"$tree\"}" '.colour.colour == "COLOUR_GREEN" and all(.instances[]; .settled)'
echo "$title is Green"
call TreeService/GetTree "{\"id\":\"$tree\"}" | jq -r '.tree.instances[0].connectionParameters | to_entries[] | select(.key | endswith("-url")) | "\(.key)=\(.value)"'

banged=$(call BangService/Bang "{\"requestId\":\"$(key)\",\"origin\":\"BANG_ORIGIN_MANUAL\",\"source\":\"curl example\",\"treeId\":\"$tree\"}")
convergence=$(jq -r '.results[0].convergenceId' <<<"$banged")
# Without the stream: GetConvergence each second until it has a closedAt.
follow ConvergenceService/WatchConvergence "{\"id\":\"$convergence\"}" .convergence.closedAt '.convergence | "\(.convergenceId) \(.state), trace \(.traceId)"'
state=$(call ConvergenceService/GetConvergence "{\"id\":\"$convergence\"}" | jq -r .convergence.state)
[ "$state" = CONVERGENCE_STATE_CONVERGED ] || { echo "convergence $convergence ended $state" >&2; exit 1; }
