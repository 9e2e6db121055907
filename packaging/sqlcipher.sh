#!/bin/sh
# Builds SQLCipher as a static library from Debian 13's source package, for systems whose own is
# too old. Called by packaging/deps.sh, which holds the lock.
#
#	packaging/sqlcipher.sh DIR LEAST-VERSION
#
# The source comes from the mirror that the system itself uses, through a private apt (its own
# sources, lists, cache and state in DIR; the system's stay as they are). apt checks the archive's
# signature against debian-archive-keyring and the source's hashes against the signed lists;
# nothing unsigned is unpacked.
set -eu

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

compile() {
	src=$1
	cpu=$(uname -m)
	cf=
	case $cpu in x86_64) cf=-fcf-protection=full ;; aarch64) cf=-mbranch-protection=standard ;; esac
	cd "$src"
	./configure --disable-tcl --disable-readline --enable-tempstore=yes \
		CFLAGS="-DSQLITE_HAS_CODEC" LDFLAGS=-lcrypto
	make sqlite3.c
	# One thread an engine, no extensions, no PRAGMA-only conveniences: what is not compiled
	# in cannot be reached.
	gcc -c -O2 -g -ffile-prefix-map="$PWD=." -fPIE $cf -fno-strict-aliasing -fstack-protector-strong \
		-fstack-clash-protection -D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections \
		-DSQLITE_HAS_CODEC -DSQLCIPHER_CRYPTO_OPENSSL -DSQLITE_TEMP_STORE=2 \
		-DSQLITE_THREADSAFE=0 -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_DQS=0 \
		-DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_SHARED_CACHE \
		-DSQLITE_LIKE_DOESNT_MATCH_BLOBS -DSQLITE_MAX_EXPR_DEPTH=100 \
		-DSQLITE_ENABLE_API_ARMOR -DSQLITE_SECURE_DELETE -DHAVE_USLEEP=1 -DHAVE_FDATASYNC=1 \
		-DNDEBUG -o sqlite3.o sqlite3.c
	ar rcsD libsqlcipher.a sqlite3.o
}

rm -rf "$work"
mkdir -p "$work"
fetch
version=$(sed -n 's/^Version: //p' "$work"/sqlcipher_*.dsc | head -n 1)
dpkg --compare-versions "$version" ge "$least" || cannot "use SQLCipher $version: $least or newer is needed"
echo "deps: building SQLCipher $version from Debian's source"
src=$(echo "$work"/sqlcipher-*/)
(compile "$src") >"$work/build.log" 2>&1 || {
	cp "$work/build.log" "$dir/sqlcipher.log"
	cannot "build SQLCipher $version: see $dir/sqlcipher.log"
}

rm -rf "$dir/sqlcipher"
mkdir -p "$dir/sqlcipher/include" "$dir/sqlcipher/lib"
cp "$src/sqlite3.h" "$dir/sqlcipher/include/"
cp "$src/libsqlcipher.a" "$dir/sqlcipher/lib/"
echo "$version" >"$dir/sqlcipher/done"
rm -rf "$work"
