#!/bin/bash
# Debian root folders for the tests that need another release or a fresh system (tests/release.sh,
# tests/packages/deb.sh), which source this. Needs root.

# The mirror that this machine uses for Debian, from one-line or deb822 sources; "" for none.
mirror() {
	find /etc/apt \( -name '*.list' -o -name '*.sources' \) -exec grep -hE '^(deb|URIs:) ' {} + |
		sed -n -E 's/.* (https?:[^ ]*\/debian)\/?( .*)?$/\1/p' | sed -n 1p
}

# make_root RELEASE DIR PACKAGE,...: once; later calls find it.
make_root() {
	local uri
	if [ ! -e "$2/made" ]; then
		command -v debootstrap >/dev/null || apt-get install -y --no-install-recommends debootstrap
		rm -rf "$2"
		uri=$(mirror)
		debootstrap --variant=minbase --include="$3" "$1" "$2" "${uri:-http://deb.debian.org/debian}"
		cp /etc/apt/apt.conf.d/*proxy* "$2/etc/apt/apt.conf.d/" 2>/dev/null || true
		touch "$2/made"
	fi
	cp /etc/resolv.conf "$2/etc/resolv.conf" 2>/dev/null || true
}
