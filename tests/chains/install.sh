#!/bin/sh
# The npm packages of package-lock.json (ethers, @solana/web3.js), whose scripts do not run, and node
# from Debian where there is none: what the tests of pools hold addresses and transactions against.
#
#	tests/chains/install.sh DIR     DIR: where they go; done at once when they are there
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
program=chains

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	# shellcheck source=packaging/apt.sh
	. "$here/../../packaging/apt.sh"
	need_debian
	install nodejs npm
fi
# several tests may come at once: one installs, the others wait
exec 9>"$dir/lock"
flock 9
cp "$here/package.json" "$here/package-lock.json" "$here"/*.mjs "$dir"
if ! cmp -s "$dir/package-lock.json" "$dir/installed.json"; then
	(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	cp "$dir/package-lock.json" "$dir/installed.json"
fi
