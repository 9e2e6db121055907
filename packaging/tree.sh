#!/bin/sh
# Writes the committed tree into DIR, a new folder, with what a build without a network cannot make
# itself: the page GET /verify, of npm's packages as its lock file names them. For packaging/deb.sh and
# packaging/rpm.sh.
#
#	packaging/tree.sh DIR
set -eu

mkdir "$1"
src=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
git archive HEAD | tar -x -C "$src"

page=$src.page
if [ -d build/page/node_modules ]; then
	mkdir "$page"
	cp -r build/page/node_modules build/page/installed.json build/page/package-lock.json "$page/"
fi
"$src/packaging/npm.sh" "$src/daemon/page" "$page"
node "$src/daemon/page/build.mjs" "$page"
# newer than its sources, so that the build takes it as it stands
mkdir -p "$src/build/page"
cp "$page/verify.c" "$src/build/page/"
rm -rf "$page"
