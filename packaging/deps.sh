#!/bin/sh
# Installs what the build, the tests and (with the word "bench") the benchmark need, and says in
# DIR/deps.mk where SQLCipher is. Run by make; does nothing that is done already.
#
#	packaging/deps.sh DIR [bench]
#
# Packages come from Debian by apt. Where Debian's SQLCipher is older than 4.6 (Debian 12),
# packaging/sqlcipher.sh builds Debian 13's source package into DIR. A failure is one line.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: packaging/deps.sh DIR [bench]}
need_sqlcipher=4.6

build="gcc make pkg-config libc6-dev linux-libc-dev libsodium-dev libevent-dev libseccomp-dev
	libssl-dev libp11-dev libp11-kit-dev libjsmn-dev"
tests="clang clang-format libclang-rt-dev libcmocka-dev softhsm2 openssl curl mandoc procps
	python3 python3-pytest python3-cryptography"
bench="wrk nginx-light"
from_source="dpkg-dev xz-utils tcl"

cannot() {
	echo "deps: cannot $*" >&2
	exit 1
}

# The packages among the arguments that are not installed.
missing() {
	for p; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n true 2>/dev/null || [ -t 0 ] || return 77
		sudo "$@"
	fi
}

# apt_get WHAT-FOR ARGUMENTS...: its noise goes to a log, its first error into our one line.
apt_get() {
	what=$1
	shift
	rc=0
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 "$@" >"$dir/apt.log" 2>&1 </dev/null || rc=$?
	[ $rc = 0 ] && return 0
	[ $rc = 77 ] && cannot "$what: this needs root, and sudo is not usable here"
	why=$(sed -n 's/^E: //p' "$dir/apt.log" | head -n 1)
	cannot "$what: ${why:-apt-get failed, see $dir/apt.log}"
}

refreshed=
refresh() {
	[ -n "$refreshed" ] && return 0
	apt_get "fetch Debian's package lists" -o APT::Update::Error-Mode=any update
	refreshed=yes
}

# A package that starts a server when it is installed shall not do so on a developer's machine.
policy=/usr/sbin/policy-rc.d
with_servers_held() {
	if [ -e $policy ]; then
		"$@"
		return
	fi
	trap 'as_root rm -f $policy' EXIT
	as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy" ||
		cannot "install packages: this needs root, and sudo is not usable here"
	"$@"
	as_root rm -f $policy
	trap - EXIT
}

install() {
	lack=$(missing "$@")
	[ -z "$lack" ] && return 0
	echo "deps: installing" $lack
	refresh
	with_servers_held apt_get "install $(echo $lack)" install --no-install-recommends $lack
}

candidate() {
	LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -v none
}

packaged_sqlcipher() {
	v=$(dpkg-query -W -f '${Version}' libsqlcipher-dev 2>/dev/null) && [ -n "$v" ] || v=$(candidate libsqlcipher-dev)
	[ -n "$v" ] && dpkg --compare-versions "$v" ge $need_sqlcipher
}

write_mk() {
	{
		echo "# Written by packaging/deps.sh."
		echo "SQLCIPHER_CFLAGS := $1"
		echo "SQLCIPHER_LIBS := $2"
	} >"$dir/deps.mk.new"
	cmp -s "$dir/deps.mk.new" "$dir/deps.mk" || cp "$dir/deps.mk.new" "$dir/deps.mk.tmp"
	[ -e "$dir/deps.mk.tmp" ] && mv "$dir/deps.mk.tmp" "$dir/deps.mk"
	rm -f "$dir/deps.mk.new"
	touch "$dir/deps.mk"
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
	cannot "install packages: this is not Debian (no dpkg-query or apt-get)"
mkdir -p "$dir" || cannot "write to $dir"

# Several makes may run at once.
exec 9>"$dir/lock"
flock 9

install $build $tests
[ "${2-}" = bench ] && install $bench

# What apt knows says whether the packaged SQLCipher will do; lists that are gone say nothing.
if ! packaged_sqlcipher && [ -z "$(candidate libsqlcipher-dev)" ] && [ ! -e "$dir/sqlcipher/done" ]; then
	refresh
fi
if packaged_sqlcipher; then
	install libsqlcipher-dev
	v=$(dpkg-query -W -f '${Version}' libsqlcipher-dev)
	dpkg --compare-versions "$v" ge $need_sqlcipher ||
		cannot "use libsqlcipher-dev $v: $need_sqlcipher or newer is needed"
	write_mk "-DSQLITE_HAS_CODEC $(pkg-config --cflags sqlcipher | sed 's/-I/-isystem /g')" \
		"$(pkg-config --libs sqlcipher)"
else
	if [ ! -e "$dir/sqlcipher/done" ]; then
		install $from_source
		"$here/sqlcipher.sh" "$dir" $need_sqlcipher
	fi
	write_mk "-DSQLITE_HAS_CODEC -isystem $dir/sqlcipher/include" \
		"$dir/sqlcipher/lib/libsqlcipher.a -lcrypto -lm"
fi
