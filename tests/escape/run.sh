#!/bin/sh
# The escape tests of the running roles, as TAP lines. Needs root: to trace processes that are not
# dumpable, and for the uids and the root folder that are part of what is tested.
#
#	tests/escape/run.sh BUILD     BUILD: a build folder with bin/ and tools/
set -eu

if [ "$(id -u)" != 0 ]; then
	echo "ok 1 - escape # SKIP needs root"
	exit 0
fi
exec /usr/bin/python3 "$(dirname "$0")/escape.py" "$1"
