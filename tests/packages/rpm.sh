#!/bin/bash
# What is asked of the packages for Fedora and RHEL 9 of the last commit, as far as Debian's rpm can
# tell: `make check-rpm`. They are built twice (the same but for where), examined by
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

# All but the header of the source package, in which rpmbuild writes where it was built, and what is
# reckoned from that one.
same() {
	local p n=0
	for p in "$work"/1/*64.rpm; do
		for d in 1 2; do
			rpm -qp --xml "$work/$d/$(basename "$p")" |
				sed -E '/rpmTag name="(Sigmd5|Sha1header|Sha256header|Sourcepkgid)"/,/rpmTag>/d' >"$work/header.$d"
			rpm2cpio "$work/$d/$(basename "$p")" >"$work/payload.$d"
		done
		cmp "$work/header.1" "$work/header.2" && cmp "$work/payload.1" "$work/payload.2" || n=1
	done
	return $n
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
	told 'systemctl --no-reload disable --now klerod.service klerod.socket klerod-acme.timer klerod-backup.timer' 'systemctl daemon-reload' || return
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
check 'the same content' same
check rpmlint clean
check 'files, modes, owners' files_are
check 'an empty root' make_root
check 'install, and what its scripts do' installed
check 'install again keeps the configuration' upgraded
check 'remove leaves the data and the configuration' removed
check 'klero-verify alone' verifies_alone
figures=()
for p in "$work"/1/*.rpm; do
	figures+=("$(basename "$p" | sed -E "s/-[0-9].*\.(x86_64|aarch64|src)//")=$(stat -c %s "$p") bytes")
done
printf '%s\n' "${figures[@]}"
tested rpm 'packages for Fedora and RHEL 9, built and unpacked by' "$(. /etc/os-release && echo "$VERSION_CODENAME")" "${figures[@]}"
