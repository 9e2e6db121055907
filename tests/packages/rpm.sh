#!/bin/bash
# What is asked of the packages for Fedora and RHEL 9 of the last commit, as far as Debian's rpm can
# tell: `make check-rpm`. They are built from their source package twice (equal content), examined by
# rpmlint, and installed into an empty root folder with a database of its own; their scripts run
# there with commands that only write down what they are asked for.
#
#	tests/packages/rpm.sh DEPS
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. packaging/apt.sh

deps=$1
program=check-rpm
mkdir -p build
work=$(mktemp -d "$PWD/build/check-rpm.XXXXXX")
dir=$work
root=$work/root
. tests/packages/lib.sh

finish() {
	rm -rf "$work"
	counted || exit 1
}
trap finish EXIT
trap 'exit 130' INT TERM

same() {
	local p
	for p in "$work"/1/*.rpm; do
		cmp "$p" "$work/2/$(basename "$p")" || return 1
	done
}

clean() {
	rpmlint -c packaging/rpm/rpmlint.toml "$work"/1/*.rpm | tee "$work/rpmlint"
	grep -q ' 0 errors, 0 warnings' "$work/rpmlint"
}

# As the packages say it, whatever users this machine has.
files_are() {
	rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} -%{FILEFLAGS:fflags} %{FILENAMES}\n]' "$work"/1/klero*64.rpm |
		grep -v ' /usr/lib/.build-id' | sed -E 's/ -([a-z]+) / \1 /; s/ - +/ - /' | sort -k 5 -u >"$work/is"
	grep -v '^#' tests/packages/rpm.files | sort -k 5 >"$work/shall"
	diff "$work/shall" "$work/is"
}

in_root() {
	rpm --root "$root" --dbpath /var/lib/rpm "$@"
}

# Commands of the scripts: they add a line to /told with how they were called.
make_root() {
	local name
	mkdir -p "$root"/{bin,usr/bin,etc,var/lib/rpm,dev}
	cp /bin/busybox "$root/bin/busybox"
	for name in sh cat; do ln -s busybox "$root/bin/$name"; done
	for name in systemctl systemd-sysusers systemd-tmpfiles; do
		printf '#!/bin/sh\necho "%s $*" >>/told\n[ "$1" = "${1#--replace}" ] || cat >>/told\n' $name >"$root/usr/bin/$name"
		chmod 755 "$root/usr/bin/$name"
	done
	in_root --initdb
}

# told PATTERN...: these lines, in this order, and nothing else.
told() {
	diff <(printf '%s\n' "$@") "$root/told" && rm "$root/told"
}

users() {
	grep '^u' packaging/systemd/klerod.sysusers
}

installed() {
	in_root -i --nodeps "$work"/1/klerod-0*64.rpm || return
	told 'systemd-sysusers --replace=/usr/lib/sysusers.d/klerod.conf -' "$(users)" \
		'systemd-tmpfiles --create /usr/lib/tmpfiles.d/klerod.conf' \
		'systemctl --no-reload preset klerod.service klerod.socket'
}

upgraded() {
	echo 'host here.example.org' >"$root/etc/kleroterion/klerod.conf"
	in_root -U --nodeps --replacepkgs --oldpackage "$work"/1/klerod-0*64.rpm || return
	grep -q here.example.org "$root/etc/kleroterion/klerod.conf" && rm "$root/told"
}

removed() {
	mkdir -p "$root/var/lib/kleroterion" "$root/var/lib/kleroterion-hsm"
	echo data >"$root/var/lib/kleroterion/klero.db"
	in_root -e klerod || return
	told 'systemctl --no-reload disable --now klerod.service klerod.socket' 'systemctl daemon-reload' || return
	[ "$(cat "$root/var/lib/kleroterion/klero.db")" = data ] && [ ! -e "$root/usr/sbin/klerod" ] &&
		grep -q here.example.org "$root"/etc/kleroterion/klerod.conf*
}

verifies_alone() {
	in_root -i --nodeps "$work"/1/klero-verify*64.rpm && [ -x "$root/usr/bin/klero-verify" ] && [ ! -e "$root/told" ]
}

need_debian
install rpm rpmlint busybox-static git
check build packaging/rpm.sh "$deps" "$work/1" || exit 1
check 'build again, elsewhere' env TMPDIR="$work" packaging/rpm.sh "$deps" "$work/2"
check 'equal bytes' same
check rpmlint clean
check 'files, modes, owners' files_are
check 'an empty root' make_root
check 'install, and what its scripts do' installed
check 'install again keeps the configuration' upgraded
check 'remove leaves the data and the configuration' removed
check 'klero-verify alone' verifies_alone
for p in "$work"/1/*.rpm; do
	echo "$(basename "$p")    $(stat -c %s "$p") bytes"
done
