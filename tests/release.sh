#!/bin/bash
# Builds and tests this tree inside another Debian release: `make check-release RELEASE=trixie`.
# Needs root. The root folder is made by debootstrap once and kept in build/release-<name>; it is
# mounted in a mount namespace of its own, so nothing stays mounted whatever happens.
#
#	tests/release.sh RELEASE [SUITE...]           suites of tests/check.sh (build unit system escape)
#	tests/release.sh RELEASE attack [SUITE...]    suites of `make attack`, with their results; SANDBOX goes along
#	tests/release.sh RELEASE deb                  the packages of the last commit, in build/deb-RELEASE
# shellcheck disable=SC2089,SC2090 # $inside is for a shell to read
set -euo pipefail
cd "$(dirname "$0")/.."

release=$1
shift
[ "$(id -u)" = 0 ] || { echo "release: needs root, for chroot and mount" >&2; exit 1; }
root=$PWD/build/release-$release

. tests/root.sh
make_root "$release" "$root" git,make,ca-certificates
# whom this machine trusts besides, such as a proxy that npm and curl go through
if cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null; then
	chroot "$root" update-ca-certificates >/dev/null
fi

# The tracked files as they are now. Of an earlier run only the dependencies stay: their objects
# may be newer than a file that has changed since.
mkdir -p "$root/klero/build"
find "$root/klero" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
find "$root/klero/build" -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$root/klero"

if [ "${1:-}" = deb ]; then
	packaging/tree.sh "$root/klero/tree"
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
	inside="export SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH; "'cd /klero && packaging/deps.sh build/deps package && packaging/deb.sh build/deps build/deb tree'
	rm -rf "build/deb-$release"
elif [ "${1:-}" = attack ]; then
	shift
	inside='cd /klero && packaging/deps.sh build/deps && make attack SUITES="$*"'
else
	inside='exec bash /klero/tests/check.sh "$@"'
fi
export inside

status=0
unshare --mount --pid --fork --kill-child bash -eu -c '
	root=$1
	shift
	mount --make-rprivate /
	mount --bind "$root" "$root" # a test inside may unshare its mounts, for which / must be one
	mount -t proc proc "$root/proc"
	mount -t sysfs sys "$root/sys"
	mount -t tmpfs tmp "$root/tmp"
	mount --rbind /dev "$root/dev"
	exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=true TERM=dumb \
		KLERO_SHARED="" SANDBOX="${SANDBOX:-}" bash -c "$inside" klero "$@"
' release "$root" "$@" || status=$?
if [ "${1:-}" = deb ] && [ $status = 0 ]; then
	mv "$root/klero/build/deb" "build/deb-$release"
	ls -l "build/deb-$release"/*.deb
fi
mkdir -p build/attack
cp "$root"/klero/build/attack/*.json build/attack/ 2>/dev/null || true
exit $status
