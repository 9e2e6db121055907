#!/bin/sh
# Builds SQLCipher as a static library from Debian 13's source package, for systems whose own is
# too old. Called by packaging/deps.sh, which holds the lock.
#
#	packaging/sqlcipher.sh DIR LEAST-VERSION [source]
#
# With the word "source" nothing is compiled: DIR/source then holds what upstream made, Debian's
# patches and their version, for packaging/rpm.sh.
#
# The source comes from the mirror that the system itself uses, through a private apt (its own
# sources, lists, cache and state in DIR; the system's stay as they are). apt checks the archive's
# signature against debian-archive-keyring and the source's hashes against the signed lists;
# nothing unsigned is unpacked.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=$(cd "$1" && pwd)
least=$2
suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
work=$dir/sqlcipher.work

cannot() {
	echo "deps: cannot $*" >&2
	exit 1
}

# Where this system fetches Debian itself from; apt reads its sources in either format for us.
mirrors() {
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
	apt-get update --print-uris 2>/dev/null |
		sed -n "s|^'\(http[^']*\|file:[^']*\)/dists/$codename/InRelease'.*|\1|p"
	echo http://deb.debian.org/debian
}

private_apt() {
	APT_CONFIG=$work/apt.conf apt-get -q "$@"
}

# Fetches the signed lists of one mirror; a mirror that lacks the suite or its signature fails.
try_mirror() {
	rm -rf "$work/state" "$work/cache"
	mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
	echo "deb-src [signed-by=$keyring] $1 $suite main" >"$work/sources.list"
	private_apt -o APT::Update::Error-Mode=any update >"$work/update.log" 2>&1
}

fetch() {
	[ -r $keyring ] || cannot "check signatures: $keyring is missing (package debian-archive-keyring)"
	cat >"$work/apt.conf" <<-CONF
		Dir::Etc::sourcelist "$work/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::Etc::preferencesparts "-";
		Dir::State "$work/state";
		Dir::Cache "$work/cache";
		APT::Get::AllowUnauthenticated "false";
		Acquire::AllowInsecureRepositories "false";
		APT::Sandbox::User "root";
	CONF
	mirrors >"$work/mirrors"
	got=
	while read -r m; do
		try_mirror "$m" && got=$m && break
	done <"$work/mirrors"
	[ -n "$got" ] || cannot "fetch SQLCipher's source: $(sed -n 's/^E: //p' "$work/update.log" | head -n 1)"
	(cd "$work" && private_apt source --only-source sqlcipher >source.log 2>&1) ||
		cannot "fetch SQLCipher's source from $got: $(sed -n 's/^E: //p' "$work/source.log" | head -n 1)"
}

rm -rf "$work"
mkdir -p "$work"
fetch
version=$(sed -n 's/^Version: //p' "$work"/sqlcipher_*.dsc | head -n 1)
dpkg --compare-versions "$version" ge "$least" || cannot "use SQLCipher $version: $least or newer is needed"
if [ "${3-}" = source ]; then
	rm -rf "$dir/source"
	mkdir "$dir/source"
	cp "$work"/sqlcipher_*.orig.tar.gz "$dir/source/sqlcipher.orig.tar.gz"
	cp "$work"/sqlcipher_*.debian.tar.xz "$dir/source/sqlcipher.debian.tar.xz"
	echo "$version" >"$dir/source/version"
	rm -rf "$work"
	exit 0
fi
echo "deps: building SQLCipher $version from Debian's source"
src=$(echo "$work"/sqlcipher-*/)
"$here/sqlcipher-compile.sh" "$src" >"$work/build.log" 2>&1 || {
	cp "$work/build.log" "$dir/sqlcipher.log"
	cannot "build SQLCipher $version: see $dir/sqlcipher.log"
}

rm -rf "$dir/sqlcipher"
mkdir -p "$dir/sqlcipher/include" "$dir/sqlcipher/lib"
cp "$src/sqlite3.h" "$dir/sqlcipher/include/"
cp "$src/libsqlcipher.a" "$dir/sqlcipher/lib/"
echo "$version" >"$dir/sqlcipher/done"
rm -rf "$work"
