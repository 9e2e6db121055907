#!/bin/sh
# The npm packages of SOURCE/package-lock.json, whose scripts do not run, into DIR; and node from Debian
# where there is none. Done at once when they are there. For what is written in JavaScript: the page GET
# /verify, and the judges of the tests.
#
#	packaging/npm.sh SOURCE DIR
set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
mkdir -p "$2"
dir=$(cd "$2" && pwd)
program=npm

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	# shellcheck source=packaging/apt.sh
	. "$here/apt.sh"
	need_debian
	install nodejs npm
fi
# several may come at once: one installs, the others wait
exec 9>"$dir/lock"
flock 9
# and none may find half a file, who has waited for nobody
for file in "$source/package.json" "$source/package-lock.json" "$source"/*.mjs; do
	[ -e "$file" ] || continue
	name=$(basename "$file")
	cmp -s "$file" "$dir/$name" && continue
	cp "$file" "$dir/.$name.new"
	mv "$dir/.$name.new" "$dir/$name"
done
if ! cmp -s "$dir/package-lock.json" "$dir/installed.json"; then
	(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	cp "$dir/package-lock.json" "$dir/installed.json"
fi
