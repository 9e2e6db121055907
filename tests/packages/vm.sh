#!/bin/bash
# The package of this Debian under Debian's own kernel: `make check-vm`. Needs root. What a container
# cannot show: AppArmor, and the unit's walls with all the rights that systemd has on a machine. A disk
# is made in a folder of its own and booted by qemu, by KVM where that works; it has no network. Inside,
# klerod is set up, serves, reloads and backs up, with its profile complaining and then enforced.
#
#	tests/packages/vm.sh DEPS [DIR]     packages built here, or those in DIR
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. packaging/apt.sh
. tests/root.sh

deps=$1
packages=${2-}
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
program=check-vm
[ "$(id -u)" = 0 ] || cannot "make a disk: needs root"
mkdir -p build
work=$(mktemp -d "$PWD/build/check-vm.XXXXXX")
dir=$work
root=$work/root
qemu=''
. tests/packages/lib.sh

finish() {
	[ -z "$qemu" ] || kill -KILL "$qemu" 2>/dev/null
	rm -rf "$work"
	counted || exit 1
}
trap finish EXIT
trap 'exit 130' INT TERM

# A kernel, AppArmor and the packages, installed without a running systemd.
furnish() {
	cp "$packages"/klerod_*.deb "$packages"/klero-verify_*.deb "$root/root/"
	unshare --mount --pid --fork --kill-child bash -euc '
		mount --make-rprivate /
		mount -t proc proc "$1/proc"
		mount --rbind /dev "$1/dev"
		in_root() { chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "${@:2}"; }
		in_root "$1" apt-get -q -y update
		in_root "$1" sh -c "apt-get -q -y install --no-install-recommends linux-image-cloud-\$(dpkg --print-architecture) \
			initramfs-tools apparmor auditd curl libsofthsm2 /root/*.deb"' - "$root"
}

# Runs in the machine, once, at the end of its boot: what it says is read line by line below.
write_errand() {
	cat >"$root/root/errand" <<-'ERRAND'
		#!/bin/bash
		ca=/etc/kleroterion/tls/certificate.pem
		try() { name=$1; shift; if "$@" >/root/out 2>&1; then echo "ok $name"; else echo "not ok $name"; sed 's/^/# /' /root/out; fi; }
		answers() { for i in $(seq 60); do curl -sf --cacert $ca https://127.0.0.1:8443/health/ready && return; sleep 1; done; return 1; }
		main() { systemctl show -P MainPID klerod; }
		profile() { for p in $(pgrep klerod); do cat /proc/$p/attr/current; done | sort -u | diff - <(echo "klerod ($1)"); }
		apart() { [ "$(readlink /proc/$(main)/ns/net)" != "$(readlink /proc/1/ns/net)" ] && [ "$(grep -c : /proc/$(main)/net/dev)" = 1 ]; }
		said() { ! grep -h 'apparmor="[AD][LE]' /var/log/audit/audit.log | grep klerod; }
		round() {
			try "start, to $1" systemctl restart klerod
			try "an answer" answers
			try "every process is under it" profile "$1"
			try "no network" apart
			try "an admin" kleroctl admin create "$1@example.org" <<<'a long admin password'
			try "reload" systemctl reload klerod
			try "a backup" kleroctl backup "/root/backup.$1"
			try "stop" systemctl stop klerod
			try "nothing was denied" said
		}
		try "AppArmor is enabled" grep -q Y /sys/module/apparmor/parameters/enabled
		try "kleroctl setup" kleroctl setup
		sed -i 's/flags=(/flags=(complain, /' /etc/apparmor.d/usr.sbin.klerod
		try "load it to complain" apparmor_parser -r /etc/apparmor.d/usr.sbin.klerod
		round complain
		sed -i 's/flags=(complain, /flags=(/' /etc/apparmor.d/usr.sbin.klerod
		try "load it as the package has it" apparmor_parser -r /etc/apparmor.d/usr.sbin.klerod
		round enforce
		echo "figure exposure by systemd-analyze security=$(systemd-analyze security --no-pager klerod.service | sed -n 's/.*klerod.service: \([0-9.]*\).*/\1/p')"
		echo end
	ERRAND
	chmod 755 "$root/root/errand"
	cat >"$root/etc/systemd/system/errand.service" <<-'UNIT'
		[Unit]
		After=multi-user.target klerod.service apparmor.service auditd.service
		[Service]
		Type=oneshot
		ExecStart=/root/errand
		ExecStopPost=systemctl --no-block poweroff
		StandardOutput=file:/dev/ttyS1
	UNIT
	ln -s ../errand.service "$root/etc/systemd/system/multi-user.target.wants/errand.service"
}

# boot ACCELERATOR...: until it powers off; false when nothing of the errand was heard in five minutes.
boot() {
	: >"$work/said"
	qemu-system-x86_64 "$@" -m 1500 -smp 2 -display none -monitor none -no-reboot -nic none \
		-serial "file:$work/console" -serial "file:$work/said" -drive "file=$work/disk,format=raw,if=virtio" \
		-kernel "$(echo "$root"/boot/vmlinuz-*)" -initrd "$(echo "$root"/boot/initrd.img-*)" \
		-append 'root=/dev/vda rw console=ttyS0 apparmor=1 security=apparmor audit=1 panic=1' >>"$work/console" 2>&1 &
	qemu=$!
	for ((i = 0; i < 1800; i++)); do
		kill -0 $qemu 2>/dev/null || break
		[ "$i" -gt "$patience" ] && [ ! -s "$work/said" ] && break
		sleep 1
	done
	kill -KILL $qemu 2>/dev/null
	wait $qemu 2>/dev/null
	qemu=''
	grep -q '^end' "$work/said"
}

# KVM inside another machine may hang: a minute for its first word.
run_errand() {
	patience=60
	[ -w /dev/kvm ] && boot -enable-kvm -cpu host,-arch-capabilities && return
	truncate -s 3G "$work/disk"
	mke2fs -q -F -t ext4 -d "$root" "$work/disk" || return
	patience=300
	boot -accel tcg,thread=multi -cpu max || { tail -n 20 "$work/console"; return 1; }
}

need_debian
install qemu-system-x86 debootstrap e2fsprogs
if [ -z "$packages" ]; then
	packages=$work/deb
	check build packaging/deb.sh "$deps" "$packages" || exit 1
fi
base=$PWD/build/release-$release-boot
make_root "$release" "$base" ca-certificates,dbus,procps,systemd-sysv,udev >"$work/root.log" 2>&1 ||
	cannot "make a root folder: $(tail -n 1 "$work/root.log")"
cp -a "$base" "$root"
check 'a kernel and the packages' furnish || exit 1
write_errand
check 'a disk' mke2fs -q -F -t ext4 -d "$root" "$work/disk" 3G || exit 1
check 'boot, and what is asked there' run_errand
tr -d '\r' <"$work/said" | grep -vE '^(end|figure)'
passed=$((passed + $(grep -c '^ok ' "$work/said"))) failed=$((failed + $(grep -c '^not ok ' "$work/said")))
tested "vm-$release" "packages, under Debian's kernel and AppArmor in qemu" "$release"
