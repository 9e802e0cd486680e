#!/bin/sh
# Test of etc/promise/{{name}}. Run it: sh test/test_{{name}}.sh
promise=$(cd "$(dirname "$0")/.." && pwd)/etc/promise/{{name}}
HOME=$(mktemp -d) && export HOME && cd "$HOME" || exit 1
trap 'rm -rf "$HOME"' EXIT
failures=0

# check WHAT EXIT TEXT: the promise exits with EXIT and says TEXT.
check() {
  said=$("$promise" 2>&1)
  code=$?
  case $code:$said in
    "$2:"*"$3"*) echo "ok: $1" ;;
    *) echo "FAILED: $1: exit $code, wanted $2; it said: $said"; failures=1 ;;
  esac
}

check "it fails and says why" 1 "var/run/{{name}}.pid is missing"
mkdir -p var/run && : > "var/run/{{name}}.pid"
check "it passes" 0 "is there"
exit $failures
