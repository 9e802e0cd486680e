#!/usr/bin/env bash
# Test the package in a root of its own, made by debootstrap: install, format, register at a real control plane, upgrade while an instance runs, remove, purge. As root.
#
#   svc-node/debian/test.sh OLD.deb NEW.deb
#
# No systemd runs in a chroot. Its part is played by a systemctl of ours that does what the unit says (start, reload, stop, MainPID), so that the maintainer scripts take the way that they take on a machine.
# VOW_DEB_ROOT is a tar of the root that debootstrap made before, made anew if it is not there.
set -euo pipefail
[ $# = 2 ] && [ "$(id -u)" = 0 ] || { echo 'cannot test the package: want OLD.deb NEW.deb, as root' >&2; exit 2; }
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d /var/tmp/vow-deb-XXXXXX)
root=$work/root
export VOW_CLUSTER_DATA=$work/cluster VOW_CLUSTER_PORTS=${VOW_CLUSTER_PORTS:-18800}
local=$repository/tilt/scripts/local.sh plane=()

# What runs in the root is found by its root: a test that failed leaves no process either.
ended() {
  local code=$? pid
  trap - EXIT
  [ $code = 0 ] || tail -n 20 "$root/var/log/vow.log" >&2 || true
  for pid in /proc/[0-9]*; do [ "$(readlink "$pid/root")" != "$root" ] || kill -KILL "${pid#/proc/}" || true; done
  [ ${#plane[@]} = 0 ] || { kill "${plane[@]}" 2>/dev/null || true; wait "${plane[@]}" || true; }
  if mountpoint -q "$root/proc"; then umount "$root/proc"; fi
  rm -rf --one-file-system "$work"
  [ $code = 0 ] && echo 'deb-test: ok' || echo 'deb-test: failed' >&2
  exit $code
}
trap ended EXIT
trap 'exit 130' INT TERM

fail() { echo "deb-test: $*" >&2; exit 1; }
inside() { chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "${addresses[@]}" "$@"; }
main_pid() { cat "$root/run/vow-supervisor.pid" 2>/dev/null || echo 0; }
agent_pid() {
  local pid
  for pid in $(cat /proc/"$(main_pid)"/task/*/children); do [ ! "/proc/$pid/exe" -ef "$root/usr/bin/svc-node" ] || echo "$pid"; done
}
services() { inside vow ps deb -o json | sed -n 's/.*"pid": *"\{0,1\}\([0-9]*\).*/\1/p' | sort; }
await() { # WHAT COMMAND…
  local deadline=$((SECONDS + 120)) what=$1
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || fail "waited in vain until $what"
    sleep 0.2
  done
}

echo 'deb-test: a control plane'
"$local" build ./svc-master/cmd/svc-master ./svc-scheduler/cmd/svc-scheduler ./svc-promise/cmd/svc-promise
for name in redis svc-master-0 svc-scheduler-0 svc-promise-0; do
  "$local" run $name >"$work/$name.log" 2>&1 &
  plane+=($!)
done
eval "$("$local" environment)"
addresses=(VOW_MASTER_ADDRESS="$VOW_MASTER_ADDRESS" VOW_SCHEDULER_ADDRESS="$VOW_SCHEDULER_ADDRESS" VOW_PROMISE_ADDRESS="$VOW_PROMISE_ADDRESS")

echo 'deb-test: a root'
mkdir "$root"
base=${VOW_DEB_ROOT:-$work/base.tar}
if [ ! -e "$base" ]; then
  debootstrap --variant=minbase --include=adduser,systemd bookworm "$root" >/dev/null
  tar -C "$root" -cf "$base.new" . && mv "$base.new" "$base"
else
  tar -C "$root" -xf "$base"
fi
mount -t proc proc "$root/proc"
mkdir -p "$root/run/systemd/system"
mv "$root/usr/bin/systemctl" "$root/usr/bin/systemctl.real"
cat > "$root/usr/bin/systemctl" <<'SYSTEMCTL'
#!/bin/bash
# Plays the part of a running systemd for vow-supervisor.service, as its unit says; what needs none (preset) is systemd's own.
pid=/run/vow-supervisor.pid given=("$@")
while [ "${1#-}" != "$1" ]; do shift; done
case ${1:-} in
start | reload | stop | is-active | show | daemon-reload) ;;
*) exec /usr/bin/systemctl.real --root=/ "${given[@]}" ;;
esac
case $* in *vow-supervisor*) ;; *) exit 0 ;; esac
case $1 in
start)
  set -a; . /etc/vow/node.env; set +a
  install -d -m 700 /var/lib/vow /run/vow
  setsid $(sed -n 's/^ExecStart=//p' /lib/systemd/system/vow-supervisor.service) </dev/null >>/var/log/vow.log 2>&1 & echo $! >$pid ;;
reload) kill -USR2 "$(cat $pid)" ;;
stop) [ ! -e $pid ] || { main=$(cat $pid) && rm $pid && kill -TERM "$main" && while [ -e "/proc/$main" ]; do sleep 0.1; done; } ;;
is-active) [ -e $pid ] ;;
show) [ "$2 $3" = '--property MainPID' ] && cat $pid ;;
esac
SYSTEMCTL
chmod +x "$root/usr/bin/systemctl"
printf '#!/bin/sh\nexit 0\n' > "$root/usr/sbin/policy-rc.d" # or deb-systemd-invoke starts and stops nothing
chmod +x "$root/usr/sbin/policy-rc.d"
cp "$1" "$root/old.deb"
cp "$2" "$root/new.deb"
mkdir -p "$root/opt" && cp -r "$repository/examples/hello" "$root/opt/hello"
(cd "$root" && find etc var usr srv run lib -xdev | sort) >"$work/before"

echo 'deb-test: install'
inside dpkg -i /old.deb >/dev/null || fail 'it does not install'
inside getent passwd slapsoft >/dev/null || fail 'the software user was not made'
[ "$(inside dpkg-query -W -f '${Conffiles}' vow-node | awk 'NF { print $1 }')" = /etc/vow/node.env ] || fail '/etc/vow/node.env is no conffile'
[ "$(main_pid)" = 0 ] || fail 'it started on a machine that is not formatted'
for unit in vow-format vow-supervisor; do
  [ -L "$root/etc/systemd/system/multi-user.target.wants/$unit.service" ] || fail "$unit is not enabled"
done

echo 'deb-test: register, and run an instance'
printf '%s\n' VOW_NODE_COMPUTER=deb VOW_NODE_ADMIN_ADDRESS= "VOW_NODE_MASTER=$VOW_MASTER_ADDRESS" "VOW_NODE_SCHEDULER=$VOW_SCHEDULER_ADDRESS" "VOW_NODE_PROMISE=$VOW_PROMISE_ADDRESS" \
  VOW_NODE_SOFTWARE_MIN_FREE_SPACE=200 VOW_NODE_INSTANCE_MIN_FREE_SPACE=200 >> "$root/etc/vow/node.env"
inside vow node format --partitions 4 --yes >/dev/null || fail 'it cannot format'
inside systemctl start vow-supervisor
await 'the computer is registered' inside vow computer deb >/dev/null 2>&1
inside vow supply file:///opt/hello deb --wait 2m >/dev/null 2>&1 || fail 'it does not take a release'
inside vow request deb file:///opt/hello --computer deb --wait 2m >/dev/null || fail 'the instance is not Green'
running=$(services)
[ -n "$running" ] || fail 'the instance has no process'

echo 'deb-test: upgrade while services run'
supervisor=$(main_pid) agent=$(agent_pid)
[ -n "$agent" ] || fail 'the supervisor has no agent'
inside dpkg -i /new.deb >/dev/null || fail 'it does not upgrade'
[ "$(main_pid)" = "$supervisor" ] && kill -0 "$supervisor" || fail 'the supervisor did not live on'
await 'the supervisor is the new one' test "/proc/$supervisor/exe" -ef "$root/usr/bin/vow-supervisor"
renewed() { local now; now=$(agent_pid); [ -n "$now" ] && [ "$now" != "$agent" ]; }
await 'the agent is the new one' renewed
await 'the new agent answers' inside vow node ps --node unix:/run/vow/node.sock >/dev/null 2>&1
inside vow bang deb -m 'after the upgrade' --wait 2m >/dev/null || fail 'it does not converge after an upgrade'
[ "$(services)" = "$running" ] || fail "the upgrade stopped services: $running became $(services)"
grep -q VOW_NODE_COMPUTER=deb "$root/etc/vow/node.env" || fail 'the upgrade overwrote the configuration'

echo 'deb-test: remove, install again, remove'
inside dpkg -r vow-node >/dev/null || fail 'it cannot be removed'
for pid in $supervisor $running; do [ ! -e "/proc/$pid" ] || fail "process $pid runs after removal"; done
[ -e "$root/etc/vow/node.env" ] && [ -d "$root/srv/vow/instance/slappart0" ] || fail 'removal took configuration or data'
inside dpkg -i /new.deb >/dev/null || fail 'it does not install again'
[ "$(main_pid)" != 0 ] || fail 'it was not started on a machine that is formatted'
await 'the instance runs again' eval '[ -n "$(services 2>/dev/null)" ]'
inside vow bang deb -m 'after installing again' --wait 2m >/dev/null || fail 'it does not converge after installing again'

echo 'deb-test: purge, with data and without'
inside dpkg -P vow-node >/dev/null || fail 'it cannot be purged'
[ -e "$root/srv/vow/instance/.vow-format.json" ] || fail 'a purge took the data of instances'
inside dpkg -i /new.deb >/dev/null || fail 'it does not install after a purge'
inside systemctl stop vow-supervisor
mkdir -p "$root/srv/vow/instance/var/xml_report/deb" && touch "$root/srv/vow/instance/var/xml_report/deb/2026-11-22.xml" # the agent's journal of usage is no instance's
rm -rf "$root"/srv/vow/instance/slappart*/* "$root"/srv/vow/instance/slappart*/.[!.]*
inside dpkg -P vow-node >/dev/null || fail 'it cannot be purged a second time'
# Users stay (postrm); the log is what our systemctl writes, run/adduser the lock of adduser.
left=$(cd "$root" && find etc var usr srv run lib -xdev | sort | comm -13 "$work/before" - | grep -vE '^(etc/(passwd|group|g?shadow|sub[ug]id)-?|etc/\.pwd\.lock|var/log/(vow|dpkg|faillog|lastlog).*|var/lib/dpkg/.*|run/adduser)$' || true)
[ -z "$left" ] || fail "a purge leaves $left"
