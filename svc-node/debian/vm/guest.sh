#!/bin/bash
# The machine's part of make deb-vm: started by systemd at each boot, says on the second serial port how each step ended, and stops the machine. A step is a function; what fails in it is on the console.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive
kept=/var/lib/vow-vm log=/dev/ttyS0
mkdir -p $kept
cd /
up() { cut -d' ' -f1 /proc/uptime; }
note() { printf '          %s\n' "$*"; }

# step SENTENCE FUNCTION: its notes are told after it. A machine that failed a step goes on, since each step says something of its own; need ends it.
step() {
  local began code took
  began=$(up)
  echo "== $1" >$log
  bash /vm/guest.sh "$2" >$log 2>&1 3>$kept/notes # of its own, since bash forgets set -e where the result is looked at
  code=$?
  took=$(echo "$began $(up)" | awk '{ printf "%6.1f s", $2 - $1 }')
  if [ $code = 0 ]; then echo "ok     $took  $1"; else echo "failed $took  $1"; echo "$1" >>$kept/failed; fi
  sed 's/^/                 /' $kept/notes
  return $code
}
need() { step "$@" || finish; }
finish() {
  { journalctl -b --no-pager -n 400; tail -n 100 /var/lib/vow/supervisor/agent.log; } >$log 2>&1
  [ -e $kept/failed ] && echo 'steps failed' || echo 'all steps ok'
  systemctl poweroff
  exit
}
tell() { printf '%s\n' "$*" >&3; } # a figure that a reader wants
fail() { echo "$*"; tell "$*"; exit 1; }
await() { # SECONDS WHAT COMMAND…
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "waited in vain until $what"
    sleep 0.5
  done
}

show() { systemctl show -P "$1" "${2:-vow-supervisor}"; }
main_pid() { show MainPID; }
agent_pid() {
  local pid
  for pid in /proc/[0-9]*; do case $(readlink "$pid/exe") in /usr/bin/svc-node*) echo "${pid#/proc/}" ;; esac; done
}
processes() { vow ps "$1" -o json | python3 -c 'import json, sys
for at in json.load(sys.stdin):
    for p in at["processes"]: print(p.get("pid", 0), p["name"])'; }
services() { processes "$1" | cut -d' ' -f1 | sort -n | tr '\n' ' '; }
pid_of() { processes greedy | sed -n "s/ $1\$//p"; }
group() { echo "/sys/fs/cgroup$(cut -d: -f3 "/proc/$(pid_of "$1")/cgroup")"; }
go() { echo go >"/proc/$(pid_of "$1")/cwd/var/$1"; }
count() { sed -n "s/^$2 //p" "$1"; }
agent_answers() { vow node ps --node unix:/run/vow/node.sock; }
other_agent() { local now; now=$(agent_pid); [ -n "$now" ] && [ "$now" != "$1" ] && agent_answers; }
same_services() { # THING BEFORE WHAT
  local now
  now=$(services "$1")
  [ "$now" = "$2" ] || fail "$3 changed the services of $1 from $2 to $now"
}

control_plane() {
  local redis=/var/lib/vow-vm/redis service
  mkdir -p $redis
  systemd-run --quiet --unit=vm-redis redis-server --bind 127.0.0.1 --port 6379 --dir $redis --appendonly yes --appendfsync always --save '' --maxmemory-policy noeviction --daemonize no
  systemd-run --quiet --unit=vm-master /vm/bin/svc-master
  for service in scheduler promise; do systemd-run --quiet --unit=vm-$service /vm/bin/svc-$service --master 127.0.0.1:7711; done
  await 120 'the control plane answers' vow status
}

machine() {
  [ "$(cat /proc/1/comm)" = systemd ] || fail 'pid 1 is not systemd'
  [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || fail 'there is no cgroup v2'
  tell "$(systemctl --version | head -n 1), Linux $(uname -r), $(nproc) processors, booted in $(up) s"
}

installs() {
  find /etc /var /usr /srv /run /lib -xdev 2>/dev/null | sort >$kept/before
  dpkg -i /vm/old.deb
  getent passwd slapsoft
  [ "$(main_pid)" = 0 ] || fail 'it started on a machine that is not formatted'
  local unit
  for unit in vow-format vow-supervisor; do [ "$(systemctl is-enabled $unit)" = enabled ] || fail "$unit is not enabled"; done
  ! systemd-analyze verify --man=no /lib/systemd/system/vow-*.service 2>&1 | grep vow- >&3 || fail 'systemd-analyze verify complains'
}

registers() {
  printf '%s\n' VOW_NODE_COMPUTER=vm VOW_NODE_SOFTWARE_MIN_FREE_SPACE=100 VOW_NODE_INSTANCE_MIN_FREE_SPACE=100 VOW_NODE_ADMIN_ADDRESS= >>/etc/vow/node.env
  vow node format --partitions 4 --ipv4 10.20.0.0/16 --yes
  ip -4 address show dev lo | grep -q 10.20.0.1
  systemctl start vow-supervisor
  [ "$(show ActiveState vow-format)" = active ] || fail 'vow-format did not run'
  await 120 'the computer is registered' vow computer vm
}

instance() {
  vow supply file:///vm/hello vm --wait 3m
  vow request hello file:///vm/hello --computer vm -p greeting=unmistakable-greeting --wait 3m
  [ -n "$(services hello)" ] || fail 'the instance has no process'
}

as_users() {
  local pid
  for pid in $(services hello); do
    grep -E '^(Uid|Gid|CapEff|NoNewPrivs)' /proc/$pid/status
    [ "$(awk '/^Uid/ { print ($2 >= 100 && $2 == $3 && $2 == $4 && $2 == $5) }' /proc/$pid/status)" = 1 ] || fail "process $pid is not a partition's user's"
  done
}

agent_ends() {
  local before=$(services hello) agent=$(agent_pid) signal
  for signal in TERM KILL; do
    agent=$(agent_pid)
    kill -$signal "$agent"
    await 60 'another agent answers' other_agent "$agent"
    same_services hello "$before" "SIG$signal to the agent"
  done
}

reloads() {
  local before=$(services hello) main=$(main_pid)
  systemctl reload vow-supervisor
  await 60 'the supervisor answers' vow ps hello
  [ "$(main_pid)" = "$main" ] || fail 'the supervisor has another pid'
  same_services hello "$before" 'reload'
}

upgrades() {
  local before=$(services hello) main=$(main_pid) agent=$(agent_pid)
  dpkg -i /vm/new.deb
  [ "$(main_pid)" = "$main" ] || fail 'the supervisor has another pid'
  await 60 'the supervisor is the new one' test "/proc/$main/exe" -ef /usr/bin/vow-supervisor
  await 60 'the agent is the new one' other_agent "$agent"
  same_services hello "$before" 'the upgrade'
  vow bang hello -m 'after the upgrade' --wait 2m
  same_services hello "$before" 'the run after the upgrade'
  grep VOW_NODE_COMPUTER=vm /etc/vow/node.env
}

supervisor_again() { [ "$(show NRestarts)" -gt "$1" ] && [ "$(main_pid)" != 0 ] && agent_answers; }
supervisor_killed() { # THING: kill -9 of the supervisor changes no process of it
  local before=$(services "$1") main=$(main_pid) agent=$(agent_pid) restarts=$(show NRestarts)
  [ -n "$before" ]
  kill -"${2:-KILL}" "$main"
  await 90 'systemd has started another supervisor' supervisor_again "$restarts"
  [ "$(main_pid)" != "$main" ] || fail 'the supervisor is the same'
  [ "$(agent_pid)" = "$agent" ] || fail 'the agent was started again'
  same_services "$1" "$before" 'the end of the supervisor'
}
supervisor_ends() {
  supervisor_killed hello
  vow bang hello -m 'after kill -9' --wait 2m
}

# It stands still; systemd waits less than the unit says, for this step.
supervisor_hangs() {
  mkdir -p /run/systemd/system/vow-supervisor.service.d
  printf '[Service]\nWatchdogSec=10s\n' >/run/systemd/system/vow-supervisor.service.d/watchdog.conf
  systemctl daemon-reload
  supervisor_killed hello KILL # so that it hears of the other time
  supervisor_killed hello STOP
  journalctl -b --no-pager -u vow-supervisor -o cat | grep -i watchdog
  rm -r /run/systemd/system/vow-supervisor.service.d
  systemctl daemon-reload
}

# Limits: of every service of this computer, as the operator sets them.
limits() {
  printf '%s\n' VOW_NODE_PROCESS_MEMORY=64 VOW_NODE_PROCESS_CPU=500 VOW_NODE_PROCESS_COUNT=30 >>/etc/vow/node.env
  systemctl restart vow-supervisor
  await 60 'the agent answers' agent_answers
  vow supply file:///vm/release vm --wait 2m
  vow request greedy file:///vm/release --computer vm --wait 3m
  vow ps greedy
  vow node ps --node unix:/run/vow/node.sock
  systemctl status --no-pager vow-limits
  ! vow node ps --node unix:/run/vow/node.sock | grep 'not held' || fail 'a limit is not held'
  local group
  for name in memory processor forks; do
    group=$(group $name)
    [ -d "$group" ] || fail "$name has no cgroup of its own, but $group"
    [ "$(cat "$group/memory.max") $(cat "$group/memory.swap.max" 2>/dev/null || echo 0) $(cat "$group/memory.oom.group") $(cat "$group/cpu.max") $(cat "$group/pids.max")" = '67108864 0 1 50000 100000 30' ] ||
      fail "the kernel has other limits for $name"
  done
  tell "the group of a service: ${group%/*}"
}

enforced() {
  local processor=$(group processor) forks=$(group forks) memory=$(group memory) before=$(pid_of memory)
  go processor
  await 60 'the processor of a service is throttled' eval '[ "$(count $processor/cpu.stat nr_throttled)" -gt 20 ]'
  tell "cpu: $(grep -E 'usage_usec|nr_periods|nr_throttled' $processor/cpu.stat | tr '\n' ' ')"
  go forks
  await 60 'a fork is refused' eval '[ "$(count $forks/pids.events max)" -gt 0 ]'
  [ "$(cat $forks/pids.current)" -le 30 ] || fail 'there are more processes than the limit'
  tell "pids: $(cat $forks/pids.peak 2>/dev/null || cat $forks/pids.current) of $(cat $forks/pids.max), refused $(count $forks/pids.events max)"
  go memory
  await 120 'the greedy service is killed' eval '[ "$(count $memory/memory.events oom_kill)" -gt 0 ]'
  await 60 'it runs again' eval '[ "$(pid_of memory)" != "$before" ] && [ "$(pid_of memory)" != 0 ]'
  vow ps greedy | grep -i 'out of memory' >&3 || fail 'vow ps does not say that it was out of memory'
  [ "$(show ActiveState)" = active ] || fail 'the kill changed the unit'
}

# Whoever replaces a killed supervisor holds the same limits, and what was used counts still.
adopted_limits() {
  local group=$(group processor) used
  used=$(count $group/cpu.stat usage_usec)
  supervisor_killed greedy
  [ "$(group processor)" = "$group" ] || fail "the service is in $(group processor) now"
  [ "$(cat "$group/cpu.max") $(cat "$group/pids.max") $(cat "$group/memory.max")" = '50000 100000 30 67108864' ] || fail 'the limits are others'
  [ "$(count $group/cpu.stat usage_usec)" -ge "$used" ] || fail 'what was used is forgotten'
  supervisor_killed greedy # and again: the second kill finds what the first start left
}

intruder() {
  local report
  report=/proc/$(pid_of intruder)/cwd/var/intruder
  await 60 'the intruder has tried all' test -e "$report"
  cat "$report"
  ! grep '^worked' "$report" >&3 || return 1
  [ "$(awk '/^Cap(Inh|Prm|Eff|Amb)/ && $2 !~ /^0+$/' "$report")" = '' ] || fail 'it has capabilities'
  grep -q '^NoNewPrivs:.1' "$report" || fail 'it may have new privileges'
}

# What the unit takes away is away: for the supervisor, which is root, and all that it starts.
hardening() {
  local main=$(main_pid) path
  for path in /usr/x /etc/x /boot/x /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/mm/ksm/run; do
    ! nsenter -t "$main" -m sh -c "echo 1 >$path" || fail "the supervisor can write $path"
  done
  for path in /srv/vow/x /var/lib/vow/x /run/vow/x /tmp/x; do nsenter -t "$main" -m sh -c "echo 1 >$path && rm $path"; done
  local bounded agent
  for agent in "$main" "$(agent_pid)"; do
    bounded=$(capsh --decode="$(awk '/^CapBnd/ { print $2 }' /proc/$agent/status)" 2>/dev/null || awk '/^CapBnd/ { print $2 }' /proc/$agent/status)
    echo "$bounded"
    for path in cap_sys_admin cap_net_admin cap_sys_module cap_sys_boot cap_sys_rawio cap_mknod cap_sys_time; do
      case $bounded in *$path*) fail "process $agent may have $path" ;; esac
    done
    grep -q '^NoNewPrivs:.1' /proc/$agent/status
  done
  for path in vow-supervisor vow-format; do tell "systemd-analyze security $path: $(systemd-analyze security --no-pager $path.service | tail -n 1 | sed 's/[^0-9A-Za-z.: -]//g; s/.*level for//')"; done
}

logged() {
  local secret
  secret=$(vow tree hello --connection | sed -n 's/.*password = //p' | head -n 1)
  [ ${#secret} -ge 16 ]
  journalctl -b --no-pager -u vow-supervisor -o cat | grep -q '"service":"vow-supervisor"' || fail 'the journal has nothing of the supervisor'
  journalctl -b --no-pager -u vow-format -o cat | grep -q . || fail 'the journal has nothing of vow-format'
  test -s /var/lib/vow/supervisor/agent.log
  for word in "$secret" unmistakable-greeting; do
    ! journalctl -b --no-pager -o cat | grep -F -- "$word" || fail 'the journal has a secret'
    ! grep -rF -- "$word" /var/lib/vow/supervisor || fail 'the log of the agent, or the journal of the supervisor, has a secret'
  done
}

unlimited() { # every group goes with its service
  vow request greedy file:///vm/release --state destroyed --wait 2m
  local left
  left=$(find /sys/fs/cgroup -type d -name 'vow-*.memory.*' -o -type d -name 'vow-*.processor.*' -o -type d -name 'vow-*.forks.*')
  [ -z "$left" ] || fail "groups are left: $left"
  sed -i '/VOW_NODE_PROCESS_/d' /etc/vow/node.env
}

restarts() {
  local before=$(services hello) agent=$(agent_pid) pid
  systemctl restart vow-supervisor
  for pid in $before; do [ ! -e "/proc/$pid" ] || fail "process $pid runs after systemctl restart"; done
  await 60 'the agent answers' other_agent "$agent"
  vow bang hello -m 'after systemctl restart' --wait 2m
  [ -z "$(find /sys/fs/cgroup -type d -name 'vow-*.*.*.*')" ] || fail 'groups are left'
}

# The tests of the cgroup code, in a cgroup that is delegated to them.
tests() {
  local program
  for program in cgroup supervisor; do
    (cd /tmp && systemd-run --quiet --pipe --wait -p Delegate=yes -p WorkingDirectory=/tmp -E HOME=/root -E PATH="$PATH" "/vm/bin/$program.test" -test.v -test.timeout 5m -test.run "$1") | tee $kept/tests
    ! grep -E 'does not permit' $kept/tests >&3 || fail 'a limit was not held'
    tell "$program.test: $(grep -c '^--- PASS' $kept/tests) passed"
  done
}
limit_tests() { tests 'Group|Memory|Limited|Fork|Daemon|OpenFiles|Version|Leaf|Delegat'; }

back_alone() { # after the reboot: services before the control plane is there
  await 120 'the agent answers' agent_answers
  agent_answers
  [ "$(agent_answers | grep -c -i running)" -ge 2 ] || fail 'services do not run'
  ip -4 address show dev lo | grep 10.20.0.1
  tell "services run $(up) s after the kernel started, without a control plane"
}
back_green() {
  control_plane
  vow bang hello -m 'after the reboot' --wait 5m
  tell "Green $(up) s after the kernel started"
}

removes() {
  local pid before=$(services hello) main=$(main_pid)
  dpkg -r vow-node
  for pid in $main $before; do [ ! -e "/proc/$pid" ] || fail "process $pid runs after removal"; done
  [ -e /etc/vow/node.env ] && [ -d /srv/vow/instance/slappart0 ] || fail 'removal took configuration or data'
  for unit in vow-format vow-limits vow-supervisor; do case $(show LoadState $unit) in masked | not-found) ;; *) fail "systemd knows $unit" ;; esac; done
}
returns() {
  dpkg -i /vm/new.deb
  await 60 'it was started, since the machine is formatted' agent_answers
  vow bang hello -m 'after installing again' --wait 2m
}
purges() {
  dpkg -P vow-node
  [ -e /srv/vow/instance/.vow-format.json ] || fail 'a purge took the data of instances'
  dpkg -i /vm/new.deb
  systemctl stop vow-supervisor
  rm -rf /srv/vow/instance/slappart*/* /srv/vow/instance/slappart*/.[!.]*
  dpkg -P vow-node
  # Users stay (postrm); the rest is what a machine that runs writes.
  left=$(find /etc /var /usr /srv /run /lib -xdev 2>/dev/null | sort | comm -13 $kept/before - | grep -vE '^(/etc/(passwd|group|g?shadow|sub[ug]id)-?|/etc/\.pwd\.lock|/var/log/.*|/var/lib/(dpkg|systemd|vow-vm)/.*|/var/lib/vow-vm|/var/tmp/systemd-private-.*|/run/(adduser|systemd|udev|user|log|dbus|blkid|initctl|mount|utmp|sudo|lock|initramfs|sshd|shm)(/.*|\.pid)?)$' || true)
  [ -z "$left" ] || fail "a purge leaves $left"
  left=$(systemctl list-units --all --no-legend 'vow-*' | grep -v vow-vm || true)
  [ -z "$left" ] || fail "systemd has $left"
}

if [ $# = 1 ]; then
  set -eE
  trap 'echo "failed at line $LINENO: $BASH_COMMAND"' ERR
  "$1"
  exit
fi
if [ ! -e $kept/rebooted ]; then
  need 'systemd is pid 1, with cgroup v2' machine
  step 'install: units enabled, verified, not started' installs
  need 'a control plane' control_plane
  need 'format, start, register' registers
  need 'a tree becomes Green' instance
  step 'its processes are partitions’ users' as_users
  step 'SIGTERM and SIGKILL to the agent touch no service' agent_ends
  step 'systemctl reload touches no service' reloads
  step 'an upgrade touches no service' upgrades
  step 'kill -9 of the supervisor touches no service' supervisor_ends
  step 'a supervisor that hangs is replaced, and touches no service' supervisor_hangs
  if step 'limits are the kernel’s, in groups of their own' limits; then
    step 'they hold: memory, processors, processes' enforced
    step 'they hold across kill -9 of the supervisor' adopted_limits
    step 'a partition’s user can do what it may, and no more' intruder
    step 'groups go with their services' unlimited
  fi
  step 'what the unit takes away is away' hardening
  step 'logs are in the journal, without secrets' logged
  step 'systemctl restart starts services again' restarts
  step 'the tests of limits and groups pass here' limit_tests
  touch $kept/rebooted
  sync
  echo 'reboot'
  systemctl reboot
  exit
fi
need 'after a reboot services run before the control plane is there' back_alone
need 'and the tree becomes Green' back_green
step 'removal stops everything and keeps data' removes
step 'installed again, it goes on' returns
step 'a purge leaves nothing' purges
finish
