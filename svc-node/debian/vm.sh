#!/usr/bin/env bash
# Test the package on a machine: a virtual one with Debian's kernel and systemd as pid 1, that installs it, runs instances, reboots, and removes it (make deb-vm). As root.
#
#   svc-node/debian/vm.sh OLD.deb NEW.deb
#
# qemu emulates it in software (TCG): /dev/kvm is not needed, and everything in it takes some ten times longer than on a machine. It has two disks: Debian, made once and thrown back to that at each start, and what
# is tested, with vm/guest.sh, which says how each step ended on the second serial port. Debian is kept in VOW_VM (.cache/vm), with the console of the last run.
set -euo pipefail
[ $# = 2 ] && [ "$(id -u)" = 0 ] || { echo 'cannot test the package: want OLD.deb NEW.deb, as root' >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
kept=${VOW_VM:-$repository/.cache/vm}
work=$(mktemp -d /var/tmp/vow-vm-XXXXXX)
machine=
ended() {
  local code=$?
  trap - EXIT
  [ -z "$machine" ] || { kill "$machine" 2>/dev/null || true; wait "$machine" 2>/dev/null || true; }
  rm -rf --one-file-system "$work"
  [ $code = 0 ] && echo 'deb-vm: ok' || echo "deb-vm: failed; $kept/console.log has the console, and at its end the journal" >&2
  exit $code
}
trap ended EXIT
trap 'exit 130' INT TERM

# What the machine is made of, and the one unit that is not Debian's: it runs what the second disk brings.
packages=adduser,systemd,systemd-sysv,dbus,udev,kmod,iproute2,python3,redis-server,linux-image-cloud-amd64,initramfs-tools,zstd
if [ "$(cat "$kept/packages" 2>/dev/null)" != "$packages" ]; then
  echo 'deb-vm: a Debian'
  rm -rf "$kept" && mkdir -p "$kept"
  debootstrap --variant=minbase --include=$packages bookworm "$work/root" >"$work/debootstrap.log" || { tail "$work/debootstrap.log" >&2; exit 1; }
  rm -rf "$work/root/var/cache/apt/archives"/*.deb
  ln -sf /dev/null "$work/root/etc/systemd/system/redis-server.service" # the guest starts its own
  echo vow-vm >"$work/root/etc/hostname"
  echo '127.0.0.1 localhost vow-vm' >"$work/root/etc/hosts"
  mkdir "$work/root/vm"
  cat >"$work/root/etc/systemd/system/vow-vm.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=exec
ExecStartPre=/bin/mount -o ro /dev/vdb /vm
ExecStart=/bin/bash /vm/guest.sh
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS0
UNIT
  mkdir -p "$work/root/etc/systemd/system/multi-user.target.wants"
  ln -s /etc/systemd/system/vow-vm.service "$work/root/etc/systemd/system/multi-user.target.wants/vow-vm.service"
  cp -L "$work/root/vmlinuz" "$work/root/initrd.img" "$kept/"
  mke2fs -q -t ext4 -d "$work/root" "$kept/root.img" 3G
  rm -rf "$work/root"
  echo "$packages" >"$kept/packages"
fi

echo 'deb-vm: what is tested'
mkdir -p "$work/vm/bin"
for package in "old $1" "new $2"; do # not compressed: emulated, that is most of an installation
  dpkg-deb --raw-extract "${package#* }" "$work/deb"
  dpkg-deb -Znone --build "$work/deb" "$work/vm/${package%% *}.deb" >/dev/null
  rm -rf "$work/deb"
done
cp -r "$here"/vm/. "$repository/examples/hello" "$work/vm/"
export CGO_ENABLED=0
cd "$repository"
go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$work/vm/bin/" ./svc-master/cmd/svc-master ./svc-scheduler/cmd/svc-scheduler ./svc-promise/cmd/svc-promise
go -C svc-node test -c -o "$work/vm/bin/" ./internal/cgroup ./app/supervisor
mke2fs -q -t ext4 -d "$work/vm" "$work/vm.img" 512M

echo 'deb-vm: the machine'
: >"$work/told"
timeout --kill-after=5 "${VOW_VM_TIMEOUT:-900}" qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 2048 -nodefaults -display none -nic none \
  -kernel "$kept/vmlinuz" -initrd "$kept/initrd.img" -append 'root=/dev/vda rw console=ttyS0 quiet systemd.show_status=no panic=-1' \
  -drive file="$kept/root.img",format=raw,if=virtio,snapshot=on -drive file="$work/vm.img",format=raw,if=virtio,readonly=on \
  -device virtio-rng-pci -serial file:"$kept/console.log" -serial file:"$work/told" &
machine=$!
tail --pid=$machine -n +1 -s 0.2 -f "$work/told" | sed -u 's|\r||'
wait "$machine" || { echo 'deb-vm: the machine did not end by itself in time' >&2; exit 1; }
machine=
grep -q '^all steps ok' "$work/told"
