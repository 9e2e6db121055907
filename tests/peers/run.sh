#!/bin/sh
# Other people's suites and tools against the real daemon. Run by `make peers` and `make attack
# SUITES=peers`; takes about twenty minutes, and is no part of `make check`.
#
#	tests/peers/run.sh BIN DIR [ARGUMENT...]     DIR: where npm's packages go; the rest is pytest's
#
# Installs what is missing: from Debian the packages below (their servers are not started), and the
# npm packages of package-lock.json, whose scripts do not run.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
program=peers
# shellcheck source=packaging/apt.sh
. "$here/../../packaging/apt.sh"

need_debian
# a node that is here already, from wherever, will do
command -v node >/dev/null && command -v npm >/dev/null || node="nodejs npm"
# the second line: testssl.sh works less well without them
install nginx-light haproxy apache2 varnish opensc testssl.sh slowhttptest \
	bsdextrautils bind9-dnsutils \
	curl wrk apache2-utils golang-go golang-golang-x-mod-dev python3-httpx python3-requests python3-aiohttp ${node-}

cp "$here/package.json" "$here/package-lock.json" "$here"/*.mjs "$here"/*.yaml "$dir"
if ! cmp -s "$dir/package-lock.json" "$dir/installed.json"; then
	(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	cp "$dir/package-lock.json" "$dir/installed.json"
fi

export KLERO_BIN="$bin" KLERO_PEERS="$dir" PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
exec /usr/bin/python3 -m pytest -q -rP -p no:cacheprovider "$here" "$@"
