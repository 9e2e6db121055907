#!/bin/sh
# Makes the source package of the last commit for Fedora and RHEL 9, and builds it here, into DIR
# (make rpm: build/rpm), with the log of the build beside them.
#
#	packaging/rpm.sh DEPS DIR
#
# Of what is built here, names, modes and scripts are those of a Fedora package; libraries are
# Debian's, so that it is good for tests/packages/rpm.sh alone. For a Fedora or RHEL 9 (with CRB and
# EPEL), give the .src.rpm to mock. Everything that it needs is in it: SQLCipher as Debian 13's
# signed source (packaging/sqlcipher.sh), jsmn's header as Debian packages it.
set -eu

deps=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
dir=$out
program=rpm
cd "$(dirname "$0")/.."
. packaging/apt.sh

need_debian
install rpm git tcl libjsmn-dev
least=$(sed -n 's/^need_sqlcipher=//p' packaging/deps.sh)
[ -e "$deps/source/version" ] || packaging/sqlcipher.sh "$deps" "$least" source

work=$(mktemp -d "${TMPDIR:-/tmp}/klero-rpm.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
spec=packaging/rpm/kleroterion.spec
version=$(sed -n 's/^Version: *//p' $spec)
[ "$version" = "$(sed -n 's/^VERSION *:= *//p' Makefile)" ] ||
	cannot "build: $spec says $version, the Makefile another version"
mkdir -p "$work/SOURCES"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
packaging/tree.sh "$work/kleroterion-$version"
tar -c --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$work" \
	"kleroterion-$version" | gzip -n >"$work/SOURCES/kleroterion-$version.tar.gz"
cp "$deps/source/sqlcipher.orig.tar.gz" "$deps/source/sqlcipher.debian.tar.xz" /usr/include/jsmn.h \
	packaging/systemd/klerod.sysusers "$work/SOURCES/"
sqlcipher=$(sed 's/-.*//' "$deps/source/version")
{ echo "%global sqlcipher_version $sqlcipher"; cat $spec; } >"$work/kleroterion.spec"

unset MAKEFLAGS MAKELEVEL MFLAGS B CPPFLAGS CC
# what Fedora's rpmbuild does with the places of sources and with symbols, and Debian's does not
CFLAGS="-ffile-prefix-map=$work/BUILD=."
LDFLAGS=-s
export CFLAGS LDFLAGS
# --nodeps, for rpm does not know what dpkg has installed; bash, for brp-compress is written for it
rpmbuild -ba --nodeps --define "_topdir $work" --define "_buildhost localhost" \
	--define "_smp_mflags -j$(nproc)" --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
	--define "__brp_compress /bin/bash /usr/lib/rpm/brp-compress /usr" \
	"$work/kleroterion.spec" >"$out/build.log" 2>&1 || {
	tail -n 15 "$out/build.log" >&2
	cannot "build the packages: see $out/build.log"
}
rm -f "$out"/*.rpm
cp "$work"/SRPMS/*.rpm "$work"/RPMS/*/*.rpm "$out/"
(cd "$out" && ls -l ./*.rpm)
