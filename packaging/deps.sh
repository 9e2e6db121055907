#!/bin/sh
# Installs what the build, the tests and (with the word "bench") the benchmark need, and says in
# DIR/deps.mk where SQLCipher is; with the word "package" what the build needs, and no more. Run by
# make; does nothing that is done already.
#
#	packaging/deps.sh DIR [bench|package|beside]
#
# Packages come from Debian by apt. Where Debian's SQLCipher is older than 4.6 (Debian 12),
# packaging/sqlcipher.sh builds Debian 13's source package into DIR; with the word "beside" that is
# left to make, which compiles beside it what does not need it. A failure is one line.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: packaging/deps.sh DIR [bench|package|beside]}
need_sqlcipher=4.6
program=deps
. "$here/apt.sh"

build="gcc make pkg-config libc6-dev linux-libc-dev libsodium-dev libevent-dev libseccomp-dev
	libssl-dev libgmp-dev libcurl4-openssl-dev libp11-dev libp11-kit-dev libjsmn-dev"
tests="clang clang-format libclang-rt-dev libcmocka-dev shellcheck python3-pyflakes softhsm2 libnss3-tools openssl openssh-client curl mandoc procps
	python3 python3-pytest python3-pytest-xdist python3-cryptography iproute2 age prometheus zsh"
bench="wrk nginx-light"
from_source="dpkg-dev xz-utils tcl"

candidate() {
	LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -v none
}

packaged_sqlcipher() {
	v=$(dpkg-query -W -f '${Version}' libsqlcipher-dev 2>/dev/null) && [ -n "$v" ] || v=$(candidate libsqlcipher-dev)
	[ -n "$v" ] && dpkg --compare-versions "$v" ge $need_sqlcipher
}

# write_mk CFLAGS LIBS [MADE]: MADE is the file that is there once SQLCipher has been built.
write_mk() {
	{
		echo "# Written by packaging/deps.sh."
		echo "SQLCIPHER_CFLAGS := $1"
		echo "SQLCIPHER_LIBS := $2"
		echo "SQLCIPHER_MADE := ${3-}"
	} >"$dir/deps.mk.new"
	cmp -s "$dir/deps.mk.new" "$dir/deps.mk" || cp "$dir/deps.mk.new" "$dir/deps.mk.tmp"
	[ -e "$dir/deps.mk.tmp" ] && mv "$dir/deps.mk.tmp" "$dir/deps.mk"
	rm -f "$dir/deps.mk.new"
	touch "$dir/deps.mk"
}

need_debian
mkdir -p "$dir" || cannot "write to $dir"

# Several makes may run at once.
exec 9>"$dir/lock"
flock 9

[ "${2-}" = package ] && tests=
install $build $tests
[ "${2-}" = bench ] && install $bench
# an authority and its client for one test, where this Debian has them
for p in ${tests:+certbot pebble}; do
	[ -z "$(candidate $p)" ] || install $p
done

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
		[ "${2-}" = beside ] || "$here/sqlcipher.sh" "$dir" $need_sqlcipher
	fi
	write_mk "-DSQLITE_HAS_CODEC -isystem $dir/sqlcipher/include" \
		"$dir/sqlcipher/lib/libsqlcipher.a -lcrypto -lm" "$dir/sqlcipher/done"
fi
