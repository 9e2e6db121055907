#!/bin/sh
# `make bench`: klerod and what it is measured against, in turn, three rounds; medians and ratios in
# one table. tests/bench/bench.py says what is measured.
#
#	tests/bench/bench.sh B [PEER]     B: build folder; PEER: a folder with another server to race
#
#	BENCH_ONLY="SECTION..."   some sections; the others keep what BENCH_JSON has of them
#	BENCH_SECONDS=N           for each run (6); BENCH_ROUNDS=N (3)
#	BENCH_JSON=FILE           the figures as JSON (build/bench.json)
#
# Installs what it needs: from Debian wrk and nginx, for the peer PostgreSQL and node; the peer's
# npm packages as its own lock file says, or ours where it has none, in a copy under build/bench.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
peer=${2-}
"$root/packaging/deps.sh" "$root/build/deps" bench

if [ -n "$peer" ]; then
	program=bench
	dir=$root/build/bench
	copy=$dir/peer
	mkdir -p "$copy"
	. "$root/packaging/apt.sh"
	install postgresql g++
	# a node that is here already, from wherever, will do
	command -v node >/dev/null && command -v npm >/dev/null || install nodejs npm
	chmod -R u+w "$copy"
	cp "$peer"/*.mjs "$peer/package.json" "$copy"
	lock=$peer/package-lock.json
	[ -e "$lock" ] || lock=$root/tests/bench/peer-lock.json
	cp "$lock" "$copy/package-lock.json"
	chmod -R u+w "$copy"
	if ! cmp -s "$copy/package-lock.json" "$copy/installed.json"; then
		(cd "$copy" && npm ci --no-audit --no-fund --loglevel=error)
		cp "$copy/package-lock.json" "$copy/installed.json"
	fi
	peer=$copy
fi
BENCH_JSON=${BENCH_JSON:-$root/build/bench.json}
export BENCH_JSON PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$root/tests/bench/bench.py" "$build" $peer
