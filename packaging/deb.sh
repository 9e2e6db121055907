#!/bin/sh
# Builds the Debian packages of the last commit into DIR (make deb: build/deb), with the log of the
# build beside them.
#
#	packaging/deb.sh DEPS DIR [TREE]
#
# TREE is what packaging/tree.sh has made elsewhere, for a system without git and npm (tests/release.sh),
# with SOURCE_DATE_EPOCH.
#
# The build runs in a temporary copy of the committed tree, where packaging/debian becomes debian/.
# It fetches nothing: what needs that has been made before (packaging/tree.sh); SQLCipher is Debian's where that is new enough; elsewhere (Debian 12) the copy
# takes the static library that packaging/deps.sh has made in DEPS, from Debian 13's signed source.
# The same commit, the same compiler and libraries give the same bytes, wherever the copy is.
set -eu

deps=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
tree=${3:+$(cd "$3" && pwd)}
dir=$out
program=deb
cd "$(dirname "$0")/.."
. packaging/apt.sh

need_debian
install build-essential debhelper dh-apparmor dpkg-dev python3

work=$(mktemp -d "${TMPDIR:-/tmp}/klero-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
version=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
[ "$version" = "$(sed -n 's/^VERSION *:= *//p' Makefile)" ] ||
	cannot "build: packaging/debian/changelog says $version, the Makefile another version"
src=$work/kleroterion-$version
if [ -n "$tree" ]; then
	cp -r "$tree" "$src"
else
	install git
	packaging/tree.sh "$src"
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
fi
mv "$src/packaging/debian" "$src/debian"

# newer than the scripts that would make it
mkdir -p "$src/build/deps"
profiles=
if [ -e "$deps/sqlcipher/done" ] && grep -q libsqlcipher.a "$deps/deps.mk"; then
	cp -r "$deps/sqlcipher" "$src/build/deps/"
	profiles=pkg.kleroterion.static-sqlcipher
fi
cp "$deps/deps.mk" "$src/build/deps/deps.mk"

DEB_BUILD_PROFILES=$profiles
DEB_BUILD_OPTIONS="parallel=$(nproc)"
export SOURCE_DATE_EPOCH DEB_BUILD_PROFILES DEB_BUILD_OPTIONS
# what a make above us was told is not for the package
unset MAKEFLAGS MAKELEVEL MFLAGS B CFLAGS CPPFLAGS LDFLAGS CC
(cd "$src" && dpkg-buildpackage -b -us -uc) >"$out/build.log" 2>&1 || {
	tail -n 15 "$out/build.log" >&2
	cannot "build the packages: see $out/build.log"
}
rm -f "$out"/*.deb "$out"/*.changes "$out"/*.buildinfo
cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out/"
(cd "$out" && ls -l ./*.deb)
